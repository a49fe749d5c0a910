//! The recent history of a breaker, and its statistics by state: the number of entries and the time spent.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::outage::StoredOutage;
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
        /// True if the call was made all the same, because of [`observe_only`](crate::BreakerConfig::observe_only).
        observed: bool,
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
    /// The text of the failure that opened the circuit last, for rejections.
    failure: StoredFailureText,
    details: Mutex<Details>,
    /// The moment of the last stored rejection, in microseconds.
    rejected_at: AtomicU64,
    /// The number of calls that would have been rejected without `observe_only`.
    observed_rejections: AtomicU64,
    /// The number of admitted trial calls.
    trial_calls: AtomicU64,
    log: Mutex<Log>,
}

/// The details of the state that do not fit into numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    /// The epoch to which the reason belongs, and the operator's reason for the override that began it.
    operator_reason: (u32, Option<Arc<str>>),
    /// The text of the failure that opened the circuit last, with the moment of the opening.
    pub(super) failure: Option<(Arc<str>, Moment)>,
    /// The outage that has not ended yet.
    pub(super) outage: Option<StoredOutage>,
}

impl Details {
    /// The reason that was given for the override that began `epoch`.
    pub(super) fn operator_reason(&self, epoch: u32) -> Option<Arc<str>> {
        let (of_epoch, reason) = &self.operator_reason;
        if *of_epoch == epoch { reason.clone() } else { None }
    }

    /// Moves the moments that are later than `now` to it: the clock is a different one.
    pub(super) fn rebase(&mut self, now: Moment) {
        if let Some((_, at)) = &mut self.failure {
            *at = now.min(*at);
        }
        if let Some(outage) = &mut self.outage {
            outage.since = now.min(outage.since);
        }
    }

    pub(super) fn set_operator_reason(&mut self, epoch: u32, reason: Option<&Arc<str>>) {
        self.operator_reason = (epoch, reason.cloned());
    }
}

/// The effect of a transition on the text of the failure that opened the circuit last.
#[derive(Clone, Copy, Debug)]
pub(super) enum FailureChange<'e> {
    /// The transition does not open the circuit.
    Kept,
    /// The transition opens the circuit, because of a failure with this text or of something else.
    ReplacedBy(Option<&'e Arc<str>>),
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
        self.record_rejection_as(now, reason, false);
    }

    /// Counts and stores a rejection by a breaker that only observes.
    #[cold]
    pub(super) fn record_observed_rejection(&self, now: Moment, reason: PackedReason) {
        // ORDERING: Relaxed: the count implies nothing about other memory.
        self.observed_rejections.fetch_add(1, Ordering::Relaxed);
        self.record_rejection_as(now, reason, true);
    }

    pub(super) fn observed_rejections(&self) -> u64 {
        // ORDERING: Relaxed, as above.
        self.observed_rejections.load(Ordering::Relaxed)
    }

    #[inline]
    fn record_rejection_as(&self, now: Moment, reason: PackedReason, observed: bool) {
        // ORDERING: Relaxed: any of several concurrent rejections may be the stored one, and the lock publishes the entry.
        let last = self.rejected_at.load(Ordering::Relaxed);
        if now.as_micros().abs_diff(last) >= MIN_REJECTION_INTERVAL {
            self.store_rejection(last, now, reason, observed);
        }
    }

    #[cold]
    fn store_rejection(&self, last: u64, now: Moment, reason: PackedReason, observed: bool) {
        // ORDERING: Relaxed, as above.
        if self.rejected_at.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let mut log = self.log();
            let entry = log.entry(now, HistoryEvent::Rejected { reason: reason.reason(), observed });
            push_bounded(&mut log.rejections, MAX_REJECTIONS, entry);
        }
    }

    /// Publishes the details of a transition that the caller is about to make by `swap`, which returns false if it has failed: the details
    /// are then restored. A call that finds the new state therefore finds its details. The caller holds the lock of transitions.
    ///
    pub(super) fn change_details(
        &self,
        now: Moment,
        text: FailureChange<'_>,
        change: impl FnOnce(&mut Details),
        swap: impl FnOnce() -> bool,
    ) -> bool {
        let before = self.details().clone();
        change(&mut self.details());
        // ORDERING: Relaxed: written under the lock of transitions, and published by the transition. A rejection only reports it.
        let changed_at = self.changed_at.swap(now.as_micros(), Ordering::Relaxed);
        let replaced = match text {
            FailureChange::Kept => None,
            FailureChange::ReplacedBy(text) => Some(self.failure.replace(text)),
        };
        let has_changed = swap();
        if !has_changed {
            self.changed_at.store(changed_at, Ordering::Relaxed);
            if let Some(replaced) = replaced {
                self.failure.restore(replaced);
            }
            *self.details() = before;
        }
        has_changed
    }

    pub(super) fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text of the failure that opened the circuit last.
    #[inline]
    pub(super) fn failure(&self) -> FailureText {
        self.failure.get()
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
    fn the_details_of_a_transition_are_published_before_it_is_made() {
        let (history, text): (_, Arc<str>) = (History::default(), "refused".into());
        let [first, second] = [5, 7].map(Moment::from_micros);
        let begin = |at: Moment| {
            move |details: &mut Details| details.set_operator_reason(u32::try_from(at.as_micros()).unwrap_or(0), None)
        };
        let seen = |at: Moment, text: Option<&str>| {
            assert_eq!(history.changed_at.load(Ordering::Relaxed), at.as_micros());
            assert_eq!(u64::from(history.details().operator_reason.0), at.as_micros());
            assert_eq!(history.failure().get(), text);
            true
        };
        assert!(history.change_details(first, FailureChange::ReplacedBy(Some(&text)), begin(first), || seen(
            first,
            Some("refused")
        )));
        // A transition that another thread forestalls leaves no trace.
        assert!(
            !history.change_details(second, FailureChange::ReplacedBy(None), begin(second), || !seen(second, None))
        );
        seen(first, Some("refused"));
        // One that does not open the circuit keeps the text.
        assert!(history.change_details(second, FailureChange::Kept, begin(second), || seen(second, Some("refused"))));
    }

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
