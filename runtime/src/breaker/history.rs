//! What has happened to a breaker of late, and how often and how long it was in which state.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{BreakerState, OpenReason, cause::Why};
use crate::clock::Moment;

/// Something that happened to a breaker, and when: see [`CircuitBreaker::recent`](crate::CircuitBreaker::recent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident {
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: Happening,
}

/// What happened to a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
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
    /// When the last rejection that is kept was, in microseconds.
    rejected_at: AtomicU64,
    /// Calls admitted to try whether the service is back.
    trials: AtomicU64,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    changes: VecDeque<(Moment, Happening)>,
    rejections: VecDeque<(Moment, Happening)>,
    tally: Tally,
}

/// How often and how long a breaker was in each state, in the order of [`STATES`]; the last stay left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) entered: [u64; STATES.len()],
    /// In microseconds.
    pub(crate) spent: [u64; STATES.len()],
    pub(crate) trials: u64,
}

pub(crate) const STATES: [BreakerState; 5] = [
    BreakerState::Closed,
    BreakerState::Open,
    BreakerState::HalfOpen,
    BreakerState::ForcedOpen,
    BreakerState::Disabled,
];

/// Changes of state that are kept.
const CHANGES: usize = 32;
/// Rejections that are kept.
const REJECTIONS: usize = 8;
/// Those kept are this far apart at least, in microseconds: a flood of them takes no lock, and leaves earlier ones in view.
const APART: u64 = 1_000_000;

impl History {
    /// Whoever calls this makes transitions one at a time.
    pub(super) fn change(&self, now: Moment, since: Moment, change: Happening) {
        let Happening::StateChanged { from, to, .. } = &change else { return };
        let (from, to) = (index(*from), index(*to));
        let mut pages = self.pages();
        pages.tally.entered[to] += 1;
        pages.tally.spent[from] += now.as_micros().saturating_sub(since.as_micros());
        push(&mut pages.changes, CHANGES, (now, change));
    }

    #[inline]
    pub(super) fn rejection(&self, now: Moment, why: Why) {
        // ORDERING: Relaxed: which of the rejections of a moment is kept does not matter, and the lock publishes it.
        let last = self.rejected_at.load(Ordering::Relaxed);
        if now.as_micros().saturating_sub(last) >= APART {
            self.keep(last, now, why);
        }
    }

    #[cold]
    fn keep(&self, last: u64, now: Moment, why: Why) {
        // ORDERING: Relaxed, as above.
        if self.rejected_at.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            push(&mut self.pages().rejections, REJECTIONS, (now, Happening::Rejected { reason: why.reason() }));
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
    pub(super) fn recent(&self, now: Moment) -> Vec<Incident> {
        let mut all: Vec<_> = {
            let pages = self.pages();
            pages.changes.iter().chain(&pages.rejections).cloned().collect()
        };
        // Stable: a change comes before the rejection that it brought in the same microsecond.
        all.sort_by_key(|(at, _)| *at);
        let (wall, ago) = (SystemTime::now(), |at: Moment| now.since(at));
        all.into_iter().map(|(at, what)| Incident { at: before(wall, ago(at)), what }).collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) const fn index(state: BreakerState) -> usize {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Open => 1,
        BreakerState::HalfOpen => 2,
        BreakerState::ForcedOpen => 3,
        BreakerState::Disabled => 4,
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
