//! After a call: what its end means to the circuit.

use super::{Publisher, View};
use crate::{
    breaker::{
        BreakerState,
        rules::{Policy, Rates, Span},
        window::Record,
        word::{Outcome, Ticket},
    },
    clock,
    totals::Count,
};

impl View<'_> {
    #[inline]
    pub(crate) fn succeed(self, ticket: Ticket) {
        self.core.totals.add(Count::Success);
        if !self.core.word.load().is_calm() {
            self.succeed_counted(ticket);
        }
    }

    /// A call that has failed, or says nothing.
    #[cold]
    pub(crate) fn fail(self, ticket: Ticket, is_neutral: bool) {
        let (count, outcome) =
            if is_neutral { (Count::Neutral, Outcome::Neutral) } else { (Count::Failure, Outcome::Failure) };
        self.core.totals.add(count);
        self.settle(ticket, outcome);
    }

    /// A success that does not only go into the totals.
    #[inline(never)]
    fn succeed_counted(self, ticket: Ticket) {
        let word = self.core.word.load();
        match self.settings.span_alone() {
            Some(span) if word.is_calm_by_window() && word.gave(ticket) => {
                self.take_in(Record { failed: false, slow: false }, ticket, span);
            }
            _ => self.settle(ticket, Outcome::Success),
        }
    }

    #[inline(never)]
    fn settle(self, ticket: Ticket, outcome: Outcome) {
        let word = self.core.word.load();
        if !word.gave(ticket) {
            return;
        }
        let rules = self.settings.rules();
        let outcome = match (word.state(), rules.policy) {
            (BreakerState::Closed, Policy::Rates(rates)) => {
                if outcome != Outcome::Neutral && self.record(&rates, ticket, outcome) {
                    return;
                }
                outcome
            }
            (BreakerState::HalfOpen, Policy::Rates(rates)) if outcome == Outcome::Success => {
                if is_slow(&rates, ticket) { Outcome::Failure } else { outcome }
            }
            _ => outcome,
        };
        self.core.word.step(&self.witness(), |word| word.settle(ticket, outcome, &rules, clock::now));
    }

    /// Counts a call in the window; true if that has opened the circuit.
    fn record(self, rates: &Rates, ticket: Ticket, outcome: Outcome) -> bool {
        let record = Record { failed: outcome == Outcome::Failure, slow: is_slow(rates, ticket) };
        self.take_in(record, ticket, rates.span);
        if !record.is_held_against() {
            return false;
        }
        let counts = self.core.window.get().map(|window| window.counts(ticket.epoch(), rates.span, clock::now_micros));
        let Some(cause) = rates.judge(counts.unwrap_or_default()) else { return false };
        let witness = Publisher { cause: Some(cause), ..self.witness() };
        let tripped = self.core.word.step(&witness, |word| word.trip(ticket, clock::now()));
        tripped.is_some()
    }

    #[inline]
    fn take_in(self, record: Record, ticket: Ticket, span: Span) {
        let window = self.core.window.get_or_init(Box::default);
        window.record(record, ticket.epoch(), span, clock::now_micros, || self.core.word.load().gave(ticket));
    }
}

fn is_slow(rates: &Rates, ticket: Ticket) -> bool {
    rates.slow_call.is_some_and(|limit| ticket.age(clock::now().as_micros()).is_some_and(|age| age >= limit))
}
