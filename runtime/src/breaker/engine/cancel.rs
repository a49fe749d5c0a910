//! Cancelled calls.
//!
//! A caller that gives up, because of a timeout above the breaker or because its own client has left, drops the call. If a dependency
//! hangs and every caller gives up, no call ends otherwise, and a breaker that ignores cancelled calls never opens. But the loser of a race
//! or of a hedged request is dropped as well, and so is a long poll whose client leaves: these say nothing about the dependency.
//!
//! With `cancelled_call`, the age of the call decides. Without it, cancelled calls open the circuit if all of this holds:
//!
//! - No async call was answered after a wait since the first of them, with a success or an error of any kind. An outcome without a wait,
//!   such as a rejection by a limit below the breaker or the error of a check before the request, is no answer of the dependency.
//! - Each had waited for at least [`MIN_WAIT`]: calls that lose a race soon never count.
//! - Each had waited for at least as long as answered calls usually do. A long poll that a client leaves early does not count once a
//!   poll was answered.
//! - Before any call of the breaker was answered, all waited for about the same time, as callers with a timeout do, and unlike
//!   people.
//! - They are at least [`MIN_CALLS`], and at least as many as the calls that still wait, and enough for the rule that opens the circuit:
//!   the failure threshold, or the number of calls that a window needs before it is evaluated; with both, the smaller.
//! - At least [`MIN_SPAN`] has passed since the first: calls that are dropped together, for instance at shutdown, have one cause.
//! - They overlapped: on average more than one waited at a time, see [`MIN_OVERLAP`]. A loop that drops its call and makes it again at each
//!   tick of a timer has one.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::BreakerRef;
use crate::{
    OpenReason,
    breaker::{
        BreakerState,
        parameters::Parameters,
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
/// The largest ratio of the longest wait to the shortest, before a call was answered.
const MAX_SPREAD: u64 = 4;

/// Twice the smallest mean number of cancelled calls that waited at a time.
const MIN_OVERLAP: u64 = 3;

/// The calls that were cancelled since the last answer, and the number of all calls that ended their wait without an answer.
#[derive(Debug, Default)]
pub(super) struct Cancellations {
    streak: Mutex<Streak>,
    unanswered: AtomicU64,
}

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
    /// The sum of the waits.
    waited: u64,
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
            *self = Self { epoch, answers, calls: 0, first_at: now, shortest: waited, longest: waited, waited: 0 };
        }
        self.calls = self.calls.saturating_add(1);
        self.shortest = self.shortest.min(waited);
        self.longest = self.longest.max(waited);
        self.waited = self.waited.saturating_add(waited);
        let is_steady = usual_wait.is_some() || self.longest <= self.shortest.saturating_mul(MAX_SPREAD);
        let are_enough = u64::from(self.calls) >= MIN_CALLS.max(waiting).max(needed);
        let span = now - self.first_at;
        let overlap = self.waited.saturating_mul(2) >= span.saturating_mul(MIN_OVERLAP);
        (is_steady && are_enough && overlap && span >= MIN_SPAN).then_some(self.calls)
    }
}

impl<'a> BreakerRef<'a> {
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
            // ORDERING: Relaxed: nothing else is inferred from the count.
            self.cancellations().unanswered.fetch_add(1, Ordering::Relaxed);
        }
        let (admission, has_panicked) = admission.without_panic();
        if has_panicked { self.fail(admission, false, Some(&"the call panicked")) } else { self.cancel(admission) }
    }

    /// Records a cancelled call, after its count in the totals.
    #[cold]
    pub(super) fn record_cancelled(self, admission: Admission) {
        let parameters = self.parameters();
        let now = clock::now_micros();
        let age = admission.age(now);
        let waited = age.unwrap_or(0);
        // The callers' timeout begins before the call, and may equal `cancelled_call`. The tolerance covers this and the readings of clocks.
        let resolution = clock::resolution();
        let tolerance = if self.settings.timing().is_exact { resolution.min(2_000) } else { resolution };
        if parameters.cancelled_call.is_some_and(|limit| waited.saturating_add(tolerance) >= limit) {
            self.record_late(admission, age);
        } else if waited < MIN_WAIT.saturating_add(resolution) {
            self.record_outcome(admission, Outcome::Ignored, age, None);
        } else if admission.is_trial() {
            self.record_outcome(admission, Outcome::Abandoned, age, None);
        } else if parameters.cancelled_call.is_none() && admission.is_waiting() {
            // The rule needs to know of answers, and only calls whose wait was seen are counted as answered.
            self.record_unanswered(admission, waited, now, &parameters);
        }
    }

    /// Records a cancelled call as a failure, unless it is a trial call of an earlier round.
    fn record_late(self, admission: Admission, age: Option<u64>) {
        let is_straggler = admission.is_trial() && !self.engine.circuit.word().holds_trial_permit(admission);
        let text =
            fmt::from_fn(|f| write!(f, "the call was cancelled after {:.3?}", Duration::from_micros(age.unwrap_or(0))));
        let (outcome, failure) = if is_straggler {
            (Outcome::Abandoned, None)
        } else {
            (Outcome::GivenUp, Some(&text as &dyn fmt::Display))
        };
        self.record_outcome(admission, outcome, age, failure);
    }

    fn cancellations(self) -> &'a Cancellations {
        self.engine.cancellations.get_or_init(Box::default)
    }

    fn record_unanswered(self, admission: Admission, waited: u64, now: u64, parameters: &Parameters) {
        let word = self.engine.circuit.word();
        if word.state() != BreakerState::Closed || !word.issued(admission) {
            return;
        }
        let (sums, cancellations) = (self.engine.totals.sums(), self.cancellations());
        // ORDERING: Relaxed: the counts are independent.
        let unanswered = cancellations.unanswered.load(Ordering::Relaxed);
        let cancelled = Cancellation {
            epoch: word.epoch(),
            now,
            waited,
            answers: sums.get(Count::Answered),
            usual_wait: self.engine.totals.usual_wait(),
            waiting: sums.get(Count::Waiting).saturating_sub(sums.get(Count::Answered).saturating_add(unanswered)),
        };
        let (threshold, min_calls) =
            (parameters.policy.threshold(), parameters.policy.rates().map(|rates| rates.min_calls));
        let needed = threshold.map(u64::from).into_iter().chain(min_calls).min().unwrap_or(0);
        let counted = cancellations.streak.lock().unwrap_or_else(PoisonError::into_inner).add(cancelled, needed);
        let Some(calls) = counted else { return };
        let reason = OpenReason::Cancelled { calls };
        self.engine.circuit.step(&self.observer(None), |circuit| circuit.trip(admission, clock::now(), reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000;

    /// Adds cancelled calls, one every 10 ms, and returns the number of the call that opens the circuit.
    fn opens(waits: impl IntoIterator<Item = u64>, change: impl Fn(u32, &mut Cancellation)) -> Option<u32> {
        let mut streak = Streak::default();
        (1..).zip(waits).find_map(|(call, wait)| {
            let mut cancelled = Cancellation {
                epoch: 0,
                now: 1_000_000_000 + u64::from(call) * 10 * MILLI,
                waited: wait * MILLI,
                answers: 0,
                usual_wait: None,
                waiting: 10,
            };
            change(call, &mut cancelled);
            streak.add(cancelled, 5).map(|_| call)
        })
    }

    #[test]
    fn calls_that_give_up_together_open_the_circuit() {
        let steady = || std::iter::repeat_n(100, 1_000);
        assert_eq!(opens(steady(), |_, _| {}), Some(51));
        assert_eq!(opens(steady(), |call, cancelled| cancelled.answers = u64::from(call / 40)), None, "answers");
        assert_eq!(opens(steady(), |call, cancelled| cancelled.epoch = call / 40), None, "epochs");
        assert_eq!(opens(steady(), |_, cancelled| cancelled.usual_wait = Some(101 * MILLI)), None, "waits are usual");
        assert_eq!(opens(steady(), |_, cancelled| cancelled.usual_wait = Some(100 * MILLI)), Some(51));
        assert_eq!(opens(steady(), |_, cancelled| cancelled.waiting = 2_000), None, "most calls still wait");
        assert_eq!(opens(std::iter::repeat_n(49, 1_000), |_, _| {}), None, "races");
        assert_eq!(opens([60, 300].into_iter().cycle().take(1_000), |_, _| {}), None, "waits differ");
        let apart = |call: u32, cancelled: &mut Cancellation| cancelled.now += u64::from(call) * 80 * MILLI;
        assert_eq!(opens(steady(), apart), None, "one call at a time");
        assert_eq!(opens(steady(), |_, cancelled| cancelled.now = 1_000_000_000), None, "all at once");
    }
}
