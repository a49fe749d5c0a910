//! What has happened to a breaker of late, and how often and how long it was in which state.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::clock::{self, Moment};
use crate::{BreakerState, OpenReason, errors::PackedReason};

/// Something that happened to a breaker, and when: see [`CircuitBreaker::recent`](crate::CircuitBreaker::recent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: HistoryEvent,
}

/// What happened to a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryEvent {
    /// It came into another state.
    #[non_exhaustive]
    StateChanged {
        /// The state before.
        from: BreakerState,
        /// The state since.
        to: BreakerState,
        /// The rule that opened the circuit, with its figures.
        reason: Option<OpenReason>,
        /// What an operator gave as the reason.
        operator_reason: Option<Arc<str>>,
    },
    /// It did not admit a call.
    #[non_exhaustive]
    Rejected {
        /// Why.
        reason: OpenReason,
    },
}

/// Kept for each breaker once there is something to keep.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The moment of the last change of state, in microseconds; 0 before the first.
    pub(super) changed_at: AtomicU64,
    /// The latest of the moments that the state goes by, in microseconds; 0 before the first.
    pub(super) dated_at: AtomicU64,
    /// Changes of state so far.
    pub(super) transitions: AtomicU64,
    /// What an operator said, and in which epoch that holds.
    pub(super) note: Mutex<(u32, Option<Arc<str>>)>,
    /// When the last rejection that is kept was, in microseconds.
    rejected_at: AtomicU64,
    /// Calls admitted to try whether the service is back.
    trials: AtomicU64,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    changes: VecDeque<Line>,
    rejections: VecDeque<Line>,
    /// Lines so far.
    lines: u64,
    /// When the last of them was.
    last: Option<Moment>,
    tally: Tally,
}

#[derive(Clone, Debug)]
struct Line {
    number: u64,
    at: Moment,
    what: HistoryEvent,
}

impl Pages {
    /// By one clock, no line is before the one above it, however late a thread is with what it has read.
    fn line(&mut self, at: Moment, what: HistoryEvent) -> Line {
        let is_late = |last: &Moment| {
            at < *last && !clock::is_different_clock(at.as_micros(), last.as_micros(), clock::now_micros)
        };
        let at = self.last.filter(is_late).unwrap_or(at);
        self.last = Some(at);
        self.lines += 1;
        Line { number: self.lines, at, what }
    }
}

/// How often and how long a breaker was in each state, in the order of [`BreakerState::ALL`]; the last stay left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) entered: [u64; BreakerState::ALL.len()],
    /// In microseconds.
    pub(crate) spent: [u64; BreakerState::ALL.len()],
    pub(crate) trials: u64,
}

/// How long a breaker was in a state, in microseconds: in the one that it had come into, and after that was over by itself, in the
/// one that a call would have found.
pub(crate) type Spent = [(BreakerState, u64); 2];

impl Tally {
    pub(crate) fn add(&mut self, spent: Spent) {
        for (state, micros) in spent {
            self.spent[state.index()] += micros;
        }
    }
}

/// Changes of state that are kept.
const CHANGES: usize = 32;
/// Rejections that are kept.
const REJECTIONS: usize = 8;
/// Those kept are this far apart at least, in microseconds: a flood of them takes no lock, and leaves earlier ones in view.
const APART: u64 = 1_000_000;

impl History {
    /// Whoever calls this makes transitions one at a time.
    pub(super) fn change(&self, now: Moment, spent: Spent, change: HistoryEvent) {
        let HistoryEvent::StateChanged { to, .. } = &change else { return };
        let to = to.index();
        let mut pages = self.pages();
        pages.tally.entered[to] += 1;
        pages.tally.add(spent);
        let line = pages.line(now, change);
        push(&mut pages.changes, CHANGES, line);
    }

    #[inline]
    pub(super) fn rejection(&self, now: Moment, why: PackedReason) {
        // ORDERING: Relaxed: which of the rejections of a moment is kept does not matter, and the lock publishes it.
        let last = self.rejected_at.load(Ordering::Relaxed);
        if now.as_micros().abs_diff(last) >= APART {
            self.keep(last, now, why);
        }
    }

    #[cold]
    fn keep(&self, last: u64, now: Moment, why: PackedReason) {
        // ORDERING: Relaxed, as above.
        if self.rejected_at.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let mut pages = self.pages();
            let line = pages.line(now, HistoryEvent::Rejected { reason: why.reason() });
            push(&mut pages.rejections, REJECTIONS, line);
        }
    }

    pub(super) fn trial(&self) {
        // ORDERING: Relaxed: a count that nothing else is inferred from.
        self.trials.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(super) fn tally(&self) -> Tally {
        // ORDERING: Relaxed, as above.
        Tally { trials: self.trials.load(Ordering::Relaxed), ..self.pages().tally }
    }

    /// What is kept, in the order in which it happened.
    pub(super) fn recent(&self, now: Moment) -> Vec<HistoryEntry> {
        let mut all: Vec<_> = {
            let pages = self.pages();
            pages.changes.iter().chain(&pages.rejections).cloned().collect()
        };
        all.sort_by_key(|line| line.number);
        // What another clock has dated later has happened before.
        let mut latest = now;
        for line in all.iter_mut().rev() {
            latest = latest.min(line.at);
            line.at = latest;
        }
        let wall = SystemTime::now();
        all.into_iter().map(|line| HistoryEntry { at: before(wall, now.since(line.at)), what: line.what }).collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(page: &mut VecDeque<T>, most: usize, line: T) {
    if page.len() == most {
        page.pop_front();
    }
    page.push_back(line);
}

fn before(wall: SystemTime, ago: Duration) -> SystemTime {
    wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_thread_that_is_late_moves_no_other() {
        let history = History::default();
        let now = clock::now();
        // It was stopped for an hour after it had read the clock.
        let late = Moment::from_micros(now.as_micros() - 3_600_000_000);
        let (from, to) = (BreakerState::Closed, BreakerState::Open);
        history.change(
            now,
            [(from, 0), (from, 0)],
            HistoryEvent::StateChanged { from, to, reason: None, operator_reason: None },
        );
        history.rejection(late, PackedReason::FORCED);
        let recent = history.recent(now);
        let [change, rejection] = recent.as_slice() else { panic!("{recent:?}") };
        assert_eq!(change.at, rejection.at);
        assert!(matches!(rejection.what, HistoryEvent::Rejected { .. }));
        assert!(change.at.elapsed().is_ok_and(|ago| ago < Duration::from_mins(30)), "{change:?}");
    }
}
