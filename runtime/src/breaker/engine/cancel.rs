//! Cancelled calls.
//!
//! A caller that gives up, because of a timeout above the breaker or because its own client has left, drops the call. If a dependency
//! hangs and every caller gives up, no call ends otherwise, and a breaker that ignores cancelled calls never opens. But the loser of a race
//! or of a hedged request is dropped as well, and so is a long poll whose client leaves: these say nothing about the dependency.
//!
//! With `cancelled_call`, the age of the call decides. Without it, cancelled calls open the circuit if all of this holds:
//!
//! - No call was answered since the first of them: a success, a failure and an error that `failure_if` ignores all show that the dependency
//!   answers.
//! - Each had waited for at least [`MIN_WAIT`]: calls that lose a race soon never count.
//! - Each had waited for at least as long as answered calls usually do. A long poll that a client leaves early does not count once a
//!   poll was answered.
//! - Before any call of the breaker was answered, all waited for about the same time, as callers with a timeout do, and unlike
//!   people.
//! - They are at least [`MIN_CALLS`], at least as many as the calls that still wait, and enough for the rule that opens the circuit: the
//!   failure threshold, or the number of calls that a window needs before it is evaluated.
//! - At least [`MIN_SPAN`] has passed since the first: calls that are dropped together, for instance at shutdown, have one cause.

use std::sync::{Mutex, PoisonError};

use super::BreakerRef;
use crate::{
    OpenReason,
    breaker::{
        BreakerState,
        parameters::{Parameters, TripPolicy},
        state::{Admission, Outcome},
    },
    clock,
    totals::Count,
};

/// The shortest wait of a cancelled call that can count, in microseconds.
const MIN_WAIT: u64 = 50_000;
/// The smallest number of cancelled calls that count.
const MIN_CALLS: u64 = 10;
/// The shortest time from the first to the last of the cancelled calls that count, in microseconds.
const MIN_SPAN: u64 = 500_000;
/// Without an answered call, the longest wait is at most so many times the shortest.
const MAX_SPREAD: u64 = 4;

/// The calls that were cancelled since the last answer.
#[derive(Debug, Default)]
pub(super) struct Cancellations(Mutex<Streak>);

/// A pure value: calls that were cancelled in a row, with no answer in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streak {
    /// The epoch of the calls, and the number of answered calls when the streak began.
    epoch: u32,
    answers: u64,
    calls: u32,
    first_at: u64,
    shortest: u64,
    longest: u64,
}

/// A cancelled call, and what is known about the other calls at that moment. Times are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancellation {
    pub(super) epoch: u32,
    pub(super) now: u64,
    pub(super) waited: u64,
    /// The number of calls that have been answered so far.
    pub(super) answers: u64,
    /// The usual wait of answered calls; `None` if none was answered.
    pub(super) usual_wait: Option<u64>,
    /// The number of calls that wait now.
    pub(super) waiting: u64,
}

impl Streak {
    /// Adds a cancelled call. Returns the number of calls in the streak if they open a circuit that needs `needed` failures.
    pub(super) fn add(&mut self, cancelled: Cancellation, needed: u64) -> Option<u32> {
        let Cancellation { epoch, now, waited, answers, usual_wait, waiting } = cancelled;
        if waited < MIN_WAIT || usual_wait.is_some_and(|usual| waited < usual) {
            return None;
        }
        if self.calls == 0 || (self.epoch, self.answers) != (epoch, answers) || now < self.first_at {
            *self = Self { epoch, answers, calls: 0, first_at: now, shortest: waited, longest: waited };
        }
        self.calls = self.calls.saturating_add(1);
        self.shortest = self.shortest.min(waited);
        self.longest = self.longest.max(waited);
        let is_steady = usual_wait.is_some() || self.longest <= self.shortest.saturating_mul(MAX_SPREAD);
        let are_enough = u64::from(self.calls) >= MIN_CALLS.max(waiting).max(needed);
        (is_steady && are_enough && now - self.first_at >= MIN_SPAN).then_some(self.calls)
    }
}

impl BreakerRef<'_> {
    /// Counts an async call that begins to wait, and returns its admission with the time, by which a cancellation is judged. A call that is
    /// complete at its first poll takes no reading of the clock.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin_wait(self, admission: Admission) -> Admission {
        self.engine.totals.add(Count::Waiting);
        admission.waiting(clock::coarse().as_micros())
    }

    /// Counts the end of the wait of an answered call.
    #[inline(never)]
    pub(crate) fn end_wait(self, admission: Admission) -> Admission {
        self.engine.totals.add_answered(admission.age(clock::coarse().as_micros()).unwrap_or(0));
        admission.without_waiting()
    }

    /// Records a call whose permit is dropped: it has panicked, or it is cancelled.
    #[cold]
    #[inline(never)]
    pub(crate) fn abort(self, admission: Admission) {
        if admission.is_waiting() {
            self.engine.totals.add(Count::Waited);
        }
        let (admission, has_panicked) = admission.without_waiting().without_panic();
        if has_panicked { self.fail(admission, false) } else { self.cancel(admission) }
    }

    /// Records a cancelled call, after its count in the totals.
    #[cold]
    pub(super) fn record_cancelled(self, admission: Admission) {
        let parameters = self.parameters();
        let now = clock::now_micros();
        let waited = admission.age(now).unwrap_or(0);
        // A coarse reading of the start can be early, and the wait too long.
        let tolerance = self.settings.timing().resolution();
        if parameters.cancelled_call.is_some_and(|limit| waited >= limit.saturating_add(tolerance)) {
            self.record_late(admission);
        } else if waited < MIN_WAIT {
            self.record_outcome(admission, Outcome::Ignored);
        } else if admission.is_trial() {
            self.record_outcome(admission, Outcome::Abandoned);
        } else if parameters.cancelled_call.is_none() {
            self.record_unanswered(admission, waited, now, &parameters);
        }
    }

    /// Records a cancelled call as a failure, unless it is a trial call of an earlier round.
    fn record_late(self, admission: Admission) {
        let is_straggler = admission.is_trial() && !self.engine.circuit.word().holds_trial_permit(admission);
        self.record_outcome(admission, if is_straggler { Outcome::Abandoned } else { Outcome::GivenUp });
    }

    fn record_unanswered(self, admission: Admission, waited: u64, now: u64, parameters: &Parameters) {
        let word = self.engine.circuit.word();
        if word.state() != BreakerState::Closed || !word.issued(admission) {
            return;
        }
        let sums = self.engine.totals.sums();
        let answers = [Count::Success, Count::Failure, Count::Ignored].map(|count| sums.get(count));
        let cancelled = Cancellation {
            epoch: word.epoch(),
            now,
            waited,
            answers: answers.into_iter().fold(0, u64::wrapping_add),
            usual_wait: self.engine.totals.usual_wait(),
            waiting: sums.get(Count::Waiting).saturating_sub(sums.get(Count::Waited)),
        };
        let cancellations = self.engine.cancellations.get_or_init(Box::default);
        let needed = match parameters.policy {
            TripPolicy::Consecutive { threshold } => threshold.into(),
            TripPolicy::Rates(rates) => rates.min_calls,
        };
        let counted = cancellations.0.lock().unwrap_or_else(PoisonError::into_inner).add(cancelled, needed);
        let Some(calls) = counted else { return };
        let reason = OpenReason::Cancelled { calls };
        self.engine.circuit.step(&self.observer(), |circuit| circuit.trip(admission, clock::now(), reason));
    }
}
