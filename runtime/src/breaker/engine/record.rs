//! After a call: what its end means to the circuit.

use super::BreakerRef;
use crate::{
    breaker::{
        BreakerState,
        parameters::{Rates, Span, TripPolicy},
        state::{Admission, Outcome},
        window::{Record, Window},
    },
    clock, events,
    totals::Count,
};

impl<'a> BreakerRef<'a> {
    #[inline]
    pub(crate) fn succeed(self, admission: Admission) {
        self.core.totals.add(Count::Success);
        if !self.core.circuit.word().success_is_noop() {
            self.succeed_counted(admission);
        }
    }

    /// A call that has failed, or says nothing.
    #[cold]
    pub(crate) fn fail(self, admission: Admission, is_neutral: bool) {
        let (count, outcome) =
            if is_neutral { (Count::Neutral, Outcome::Ignored) } else { (Count::Failure, Outcome::Failure) };
        self.core.totals.add(count);
        self.record_outcome(admission, outcome);
    }

    /// A success that does not only go into the totals.
    #[inline(never)]
    fn succeed_counted(self, admission: Admission) {
        let word = self.core.circuit.word();
        match self.settings.window_without_slow_calls() {
            Some(span) if word.success_only_counts() && word.issued(admission) => {
                self.take_in(Record { failed: false, slow: false }, admission, span);
            }
            _ => self.record_outcome(admission, Outcome::Success),
        }
    }

    #[inline(never)]
    fn record_outcome(self, admission: Admission, outcome: Outcome) {
        let word = self.core.circuit.word();
        if !word.issued(admission) {
            return;
        }
        let rules = self.settings.rules();
        let outcome = match (word.state(), rules.policy) {
            (BreakerState::Closed, TripPolicy::Rates(rates)) => {
                if outcome != Outcome::Ignored && self.record(&rates, admission, outcome) {
                    return;
                }
                outcome
            }
            (BreakerState::HalfOpen, TripPolicy::Rates(rates)) if outcome == Outcome::Success => {
                if is_slow(&rates, admission) { Outcome::Failure } else { outcome }
            }
            _ => outcome,
        };
        self.core
            .circuit
            .step(&self.observer(), |circuit| circuit.record_outcome(admission, outcome, &rules, clock::now));
    }

    /// Counts a call in the window; true if that has opened the circuit.
    fn record(self, rates: &Rates, admission: Admission, outcome: Outcome) -> bool {
        let record = Record { failed: outcome == Outcome::Failure, slow: is_slow(rates, admission) };
        self.take_in(record, admission, rates.span);
        if !record.is_held_against() {
            return false;
        }
        let counts =
            self.core.window.get().map(|window| window.counts(admission.epoch(), rates.span, clock::now_micros));
        let Some(cause) = rates.judge(counts.unwrap_or_default()) else { return false };
        let tripped = self.core.circuit.step(&self.observer(), |circuit| circuit.trip(admission, clock::now(), cause));
        tripped.is_some()
    }

    #[inline]
    fn take_in(self, record: Record, admission: Admission, span: Span) {
        let window = self.core.window.get().unwrap_or_else(|| self.first_window(span));
        window.record(record, admission.epoch(), span, clock::now_micros);
    }

    #[cold]
    fn first_window(self, span: Span) -> &'a Window {
        // No transition is under way meanwhile: each to come finds the window there.
        let _at_rest = events::queue();
        let core = self.core;
        core.window.get_or_init(|| Box::new(Window::new(core.circuit.word().epoch(), span)))
    }
}

fn is_slow(rates: &Rates, admission: Admission) -> bool {
    rates.slow_call.is_some_and(|limit| admission.age(clock::now().as_micros()).is_some_and(|age| age >= limit))
}
