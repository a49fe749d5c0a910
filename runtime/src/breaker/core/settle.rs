//! After a call: what its end means to the circuit.

use super::View;
use crate::{
    breaker::{
        BreakerState,
        rules::{Policy, Rates, Span},
        window::{Record, Window},
        word::{Outcome, Ticket},
    },
    clock, events,
    totals::Count,
};

impl<'a> View<'a> {
    #[inline]
    pub(crate) fn succeed(self, ticket: Ticket) {
        self.core.totals.add(Count::Success);
        if !self.core.circuit.word().is_calm() {
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
        let word = self.core.circuit.word();
        match self.settings.span_alone() {
            Some(span) if word.is_calm_by_window() && word.gave(ticket) => {
                self.take_in(Record { failed: false, slow: false }, ticket, span);
            }
            _ => self.settle(ticket, Outcome::Success),
        }
    }

    #[inline(never)]
    fn settle(self, ticket: Ticket, outcome: Outcome) {
        let word = self.core.circuit.word();
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
        self.core.circuit.step(&self.witness(), |circuit| circuit.settle(ticket, outcome, &rules, clock::now));
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
        let tripped = self.core.circuit.step(&self.witness(), |circuit| circuit.trip(ticket, clock::now(), cause));
        tripped.is_some()
    }

    #[inline]
    fn take_in(self, record: Record, ticket: Ticket, span: Span) {
        let window = self.core.window.get().unwrap_or_else(|| self.first_window(span));
        window.record(record, ticket.epoch(), span, clock::now_micros);
    }

    #[cold]
    fn first_window(self, span: Span) -> &'a Window {
        // No transition is under way meanwhile: each to come finds the window there.
        let _at_rest = events::hub();
        let core = self.core;
        core.window.get_or_init(|| Box::new(Window::new(core.circuit.word().epoch(), span)))
    }
}

fn is_slow(rates: &Rates, ticket: Ticket) -> bool {
    rates.slow_call.is_some_and(|limit| ticket.age(clock::now().as_micros()).is_some_and(|age| age >= limit))
}
