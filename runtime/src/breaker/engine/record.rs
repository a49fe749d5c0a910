//! The outcome of a call: totals, the window, and the circuit.

use super::{BreakerRef, Failure};
use crate::{
    OpenReason,
    breaker::{
        BreakerState,
        in_flight::End,
        parameters::{RatePolicy, WindowSize},
        state::{Admission, Outcome},
        window::{Record, Window},
    },
    clock,
    durations::Ended,
    events,
    totals::Count,
};

/// The age that a call had reached at its end, in microseconds; `None` if the call is not timed, or if nothing depends on its age.
type Age = Option<u64>;

impl<'a> BreakerRef<'a> {
    /// Records a success.
    #[inline]
    pub(crate) fn succeed(self, admission: Admission) {
        self.engine.totals.add(Count::Success);
        if !self.engine.circuit.word().success_is_noop() {
            self.succeed_counted(admission);
        }
    }

    /// Records a failure, or a call that is ignored because of its error. `failure` is the error, for the reason of a circuit that opens.
    #[cold]
    pub(crate) fn fail(self, admission: Admission, is_ignored: bool, failure: Failure<'_>) {
        let (count, ended, outcome) = if is_ignored {
            (Count::Ignored, Ended::Ignored, Outcome::Ignored)
        } else {
            (Count::Failure, Ended::Failure, Outcome::Failure)
        };
        self.engine.totals.add(count);
        if let Some(age) = self.end_timed(admission, ended) {
            self.record_outcome(admission, outcome, age, failure);
        }
    }

    /// Records a cancelled call.
    pub(super) fn cancel(self, admission: Admission) {
        self.engine.totals.add(Count::Cancelled);
        if self.end_timed(admission, Ended::Cancelled).is_some() {
            self.record_cancelled(admission);
        }
    }

    /// Records the duration of a timed call, and counts the end of a tracked one. Returns the age of the call at its end if the outcome is to
    /// be recorded; `None` if the call was hung.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost as much as its counts")]
    fn end_timed(self, admission: Admission, ended: Ended) -> Option<Age> {
        let timing = self.settings.timing();
        if !admission.is_timed() || !(timing.is_recorded || admission.is_tracked()) {
            return Some(None);
        }
        let now = timing.now();
        let age = admission.age(now.as_micros());
        if timing.is_recorded {
            self.settings.durations.record(ended, age.unwrap_or(0));
        }
        // A coarse reading of the start can be early, and the age too long.
        let age = age.map(|age| age.saturating_sub(timing.resolution()));
        if !admission.is_tracked() {
            return Some(age);
        }
        match self.end_tracked(admission, now) {
            End::InTime => Some(age),
            End::Settled => None,
            End::Hung => {
                self.record_hung(1, admission);
                None
            }
        }
    }

    /// Records a success that changes more than the totals.
    #[inline(never)]
    fn succeed_counted(self, admission: Admission) {
        if admission.is_timed() {
            return self.succeed_timed(admission);
        }
        self.record_success(admission, None);
    }

    #[inline(never)]
    fn succeed_timed(self, admission: Admission) {
        let Some(age) = self.end_timed(admission, Ended::Success) else { return };
        if !self.engine.circuit.word().timed_success_is_noop() {
            self.record_success(admission, age);
        }
    }

    #[inline(never)]
    fn record_success(self, admission: Admission, age: Age) {
        let word = self.engine.circuit.word();
        if word.success_only_counts()
            && word.issued(admission)
            && let (Some(size), Some(window)) = (self.settings.window_of_fast_call(age), self.engine.window.get())
        {
            return window.record_success(admission.epoch(), size, clock::coarse_micros, clock::now_micros);
        }
        self.record_outcome(admission, Outcome::Success, age, None);
    }

    #[inline(never)]
    pub(super) fn record_outcome(self, admission: Admission, outcome: Outcome, age: Age, failure: Failure<'_>) {
        let word = self.engine.circuit.word();
        if !word.issued(admission) {
            return;
        }
        let parameters = self.parameters();
        let mut outcome = outcome;
        if let Some(rates) = parameters.policy.rates() {
            let state = word.state();
            if state == BreakerState::Closed
                && !matches!(outcome, Outcome::Ignored | Outcome::Abandoned)
                && self.record_and_evaluate(rates, admission, outcome, age, failure)
            {
                return;
            }
            if state == BreakerState::HalfOpen && outcome == Outcome::Success && is_slow(rates, age) {
                outcome = Outcome::Failure;
            }
        }
        self.engine.circuit.step(&self.observer(failure), |circuit| {
            circuit.record_outcome(admission, outcome, &parameters, clock::now)
        });
    }

    /// Records a call in the window and evaluates the counts. Returns true if that has opened the circuit.
    fn record_and_evaluate(
        self,
        rates: &RatePolicy,
        admission: Admission,
        outcome: Outcome,
        age: Age,
        failure: Failure<'_>,
    ) -> bool {
        let record =
            Record { failed: matches!(outcome, Outcome::Failure | Outcome::GivenUp), slow: is_slow(rates, age) };
        if record.is_adverse() {
            let reason = |exceeded: OpenReason| {
                if outcome == Outcome::GivenUp { exceeded.with_cancelled_calls() } else { exceeded }
            };
            return self.record_adverse(record, 1, rates, admission, failure, reason);
        }
        let window = self.window_or_create(rates.window);
        window.record_success(admission.epoch(), rates.window, clock::coarse_micros, clock::now_micros);
        false
    }

    /// Records failed or slow calls in the window and opens the circuit if a rate is reached. `reason` converts the reason that the counts
    /// give. Returns true if that has opened the circuit.
    pub(super) fn record_adverse(
        self,
        record: Record,
        number: u32,
        rates: &RatePolicy,
        admission: Admission,
        failure: Failure<'_>,
        reason: impl FnOnce(OpenReason) -> OpenReason,
    ) -> bool {
        let window = self.window_or_create(rates.window);
        let counts = window.record_adverse(record, number, admission.epoch(), rates.window, clock::now_micros);
        let Some(exceeded) = rates.exceeded_by(counts) else { return false };
        let reason = reason(exceeded);
        let tripped =
            self.engine.circuit.step(&self.observer(failure), |circuit| circuit.trip(admission, clock::now(), reason));
        tripped.is_some()
    }

    fn window_or_create(self, size: WindowSize) -> &'a Window {
        self.engine.window.get().unwrap_or_else(|| self.create_window(size))
    }

    #[cold]
    fn create_window(self, size: WindowSize) -> &'a Window {
        // The lock excludes transitions. Every later transition that closes the circuit resets this window.
        let _lock = events::queue();
        let engine = self.engine;
        let create = || Box::new(Window::new(engine.circuit.word().epoch(), size, engine.totals.is_sharded()));
        engine.window.get_or_init(create)
    }
}

fn is_slow(rates: &RatePolicy, age: Age) -> bool {
    rates.slow_call.is_some_and(|limit| age.is_some_and(|age| age >= limit))
}
