//! The recent history of a breaker, and its statistics by state: the number of entries and the time spent.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::clock::{self, Moment};
use crate::{
    BreakerState, OpenReason,
    errors::{FailureText, PackedReason, StoredFailureText},
};

/// An entry in the history of a breaker: see [`CircuitBreaker::recent`](crate::CircuitBreaker::recent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The time of the event, converted from the monotonic clock when the history is read.
    pub at: SystemTime,
    /// The event.
    pub what: HistoryEvent,
}

/// An event in the history of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryEvent {
    /// The state changed.
    #[non_exhaustive]
    StateChanged {
        /// The previous state.
        from: BreakerState,
        /// The new state.
        to: BreakerState,
        /// The reason for the new state, with the counts that opened the circuit; `None` if the new state is neither open nor forced open.
        reason: Option<OpenReason>,
        /// The reason that an operator gave for a manual override.
        operator_reason: Option<Arc<str>>,
        /// The text of the failure that opened the circuit: see [`Snapshot::last_failure`](crate::Snapshot::last_failure).
        error: Option<Arc<str>>,
    },
    /// A call was rejected.
    #[non_exhaustive]
    Rejected {
        /// The reason for the rejection.
        reason: OpenReason,
    },
}

/// The history of a breaker, with the moments and the operator's reason of its current state.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The moment of the last change of state, in microseconds; 0 before the first.
    pub(super) changed_at: AtomicU64,
    /// The latest reading of the clock to which the stored moments belong, in microseconds; 0 before the first.
    pub(super) stamped_at: AtomicU64,
    /// The number of changes of state.
    pub(super) transitions: AtomicU64,
    /// The epoch to which the reason belongs, and the operator's reason for the override that began it.
    pub(super) operator_reason: Mutex<(u32, Option<Arc<str>>)>,
    /// The text of the failure that opened the circuit last, for rejections.
    failure: StoredFailureText,
    /// That text with the moment of the opening, for snapshots.
    failed: Mutex<Option<(Arc<str>, Moment)>>,
    /// The moment of the last stored rejection, in microseconds.
    rejected_at: AtomicU64,
    /// The number of admitted trial calls.
    trial_calls: AtomicU64,
    log: Mutex<Log>,
}

/// The stored entries. Rejections have their own queue, so that they do not displace changes of state.
#[derive(Debug, Default)]
struct Log {
    changes: VecDeque<LogEntry>,
    rejections: VecDeque<LogEntry>,
    /// The number of entries so far, the discarded ones included.
    entries: u64,
    /// The moment of the last entry.
    last: Option<Moment>,
    tally: Tally,
}

#[derive(Clone, Debug)]
struct LogEntry {
    /// The position in the order of events.
    number: u64,
    at: Moment,
    what: HistoryEvent,
}

impl Log {
    /// Creates the next entry. Moments of one clock are non-decreasing: a stale reading is replaced by the moment of the previous entry.
    fn entry(&mut self, at: Moment, what: HistoryEvent) -> LogEntry {
        let is_stale = |last: &Moment| {
            at < *last && !clock::is_different_clock(at.as_micros(), last.as_micros(), clock::now_micros)
        };
        let at = self.last.filter(is_stale).unwrap_or(at);
        self.last = Some(at);
        self.entries += 1;
        LogEntry { number: self.entries, at, what }
    }
}

/// The number of entries into each state and the time spent in it, in the order of [`BreakerState::ALL`]. In a [`History`], the current
/// stay is not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The number of entries into each state.
    pub(crate) entered: [u64; BreakerState::ALL.len()],
    /// The time spent in each state, in microseconds.
    pub(crate) spent: [u64; BreakerState::ALL.len()],
    /// The number of admitted trial calls.
    pub(crate) trial_calls: u64,
}

/// The time of one stay, in microseconds, in two parts: in the stored state, and in its successor after the stored state expired.
pub(crate) type Spent = [(BreakerState, u64); 2];

impl Tally {
    pub(crate) fn add(&mut self, spent: Spent) {
        for (state, micros) in spent {
            self.spent[state.index()] += micros;
        }
    }
}

/// The maximum number of stored changes of state.
const MAX_CHANGES: usize = 32;
/// The maximum number of stored rejections.
const MAX_REJECTIONS: usize = 8;
/// The minimum time between two stored rejections, in microseconds, so that a burst takes the lock at most once a second and does not
/// displace earlier ones.
const MIN_REJECTION_INTERVAL: u64 = 1_000_000;

impl History {
    /// Stores a change of state, after `spent` in the previous one. The caller holds the lock of transitions.
    pub(super) fn record_change(&self, now: Moment, spent: Spent, change: HistoryEvent) {
        let HistoryEvent::StateChanged { to, .. } = &change else { return };
        let to = to.index();
        let mut log = self.log();
        log.tally.entered[to] += 1;
        log.tally.add(spent);
        let entry = log.entry(now, change);
        push_bounded(&mut log.changes, MAX_CHANGES, entry);
    }

    /// Stores a rejection, unless one was stored less than a second ago.
    #[inline]
    pub(super) fn record_rejection(&self, now: Moment, reason: PackedReason) {
        // ORDERING: Relaxed: any of several concurrent rejections may be the stored one, and the lock publishes the entry.
        let last = self.rejected_at.load(Ordering::Relaxed);
        if now.as_micros().abs_diff(last) >= MIN_REJECTION_INTERVAL {
            self.store_rejection(last, now, reason);
        }
    }

    #[cold]
    fn store_rejection(&self, last: u64, now: Moment, reason: PackedReason) {
        // ORDERING: Relaxed, as above.
        if self.rejected_at.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let mut log = self.log();
            let entry = log.entry(now, HistoryEvent::Rejected { reason: reason.reason() });
            push_bounded(&mut log.rejections, MAX_REJECTIONS, entry);
        }
    }

    /// Replaces the text of the failure that opened the circuit. The caller holds the lock of transitions.
    pub(super) fn set_failure(&self, text: Option<Arc<str>>, now: Moment) {
        self.failure.set(text.as_ref());
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = text.map(|text| (text, now));
    }

    /// The text of the failure that opened the circuit last.
    #[inline]
    pub(super) fn failure(&self) -> FailureText {
        self.failure.get()
    }

    /// The text of the failure that opened the circuit last, and the moment of the opening.
    pub(super) fn last_failure(&self) -> Option<(Arc<str>, Moment)> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count_trial_call(&self) {
        // ORDERING: Relaxed: the count implies nothing about other memory.
        self.trial_calls.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(super) fn tally(&self) -> Tally {
        // ORDERING: Relaxed, as above.
        Tally { trial_calls: self.trial_calls.load(Ordering::Relaxed), ..self.log().tally }
    }

    /// The stored entries, oldest first.
    pub(super) fn recent(&self, now: Moment) -> Vec<HistoryEntry> {
        let mut all: Vec<_> = {
            let log = self.log();
            log.changes.iter().chain(&log.rejections).cloned().collect()
        };
        all.sort_by_key(|entry| entry.number);
        // An earlier entry can have a later moment by another clock; it is clamped to the entry after it.
        let mut latest = now;
        for entry in all.iter_mut().rev() {
            latest = latest.min(entry.at);
            entry.at = latest;
        }
        let wall = SystemTime::now();
        all.into_iter().map(|entry| HistoryEntry { at: before(wall, now.since(entry.at)), what: entry.what }).collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends an item, and discards the oldest beyond `limit` items.
fn push_bounded<T>(items: &mut VecDeque<T>, limit: usize, item: T) {
    if items.len() == limit {
        items.pop_front();
    }
    items.push_back(item);
}

/// The wall-clock time of a moment that was `ago` before `wall`.
pub(super) fn before(wall: SystemTime, ago: Duration) -> SystemTime {
    wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_reading_changes_no_other_entry() {
        let history = History::default();
        let now = clock::now();
        // Read by a thread that was then suspended for an hour.
        let stale = Moment::from_micros(now.as_micros() - 3_600_000_000);
        let (from, to) = (BreakerState::Closed, BreakerState::Open);
        history.record_change(
            now,
            [(from, 0), (from, 0)],
            HistoryEvent::StateChanged { from, to, reason: None, operator_reason: None, error: None },
        );
        history.record_rejection(stale, PackedReason::FORCED);
        let recent = history.recent(now);
        let [change, rejection] = recent.as_slice() else { panic!("{recent:?}") };
        assert_eq!(change.at, rejection.at);
        assert!(matches!(rejection.what, HistoryEvent::Rejected { .. }));
        assert!(change.at.elapsed().is_ok_and(|ago| ago < Duration::from_mins(30)), "{change:?}");
    }
}
