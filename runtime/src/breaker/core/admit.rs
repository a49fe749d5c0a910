//! Before a call: whether it is admitted, and what it gets if it is not.

use std::{hint, sync::Arc};

use super::View;
use crate::{
    breaker::{
        CircuitOpen,
        cause::Why,
        rejection::{Rare, Wait},
        trace::Trace,
        word::{Circuit, Refusal, Ticket},
    },
    clock::{self, Moment},
    events::{self, Event},
    random,
    totals::Count,
};

impl View<'_> {
    #[inline]
    pub(crate) fn admit(self) -> Result<Ticket, CircuitOpen> {
        match self.admit_freely() {
            Some(ticket) => Ok(ticket),
            None => {
                hint::cold_path();
                self.admit_guarded()
            }
        }
    }

    /// Admits a call if nothing has to be looked at but the word.
    #[inline]
    pub(crate) fn admit_freely(self) -> Option<Ticket> {
        let word = self.core.circuit.word();
        word.admits_freely().then(|| word.ticket())
    }

    #[inline(never)]
    fn admit_guarded(self) -> Result<Ticket, CircuitOpen> {
        let now = clock::now();
        self.go_by(now);
        match self.rest(now) {
            Some((why, wait)) => Err(self.reject(why, Some(wait), None, now)),
            None => self.admit_by_rules(now),
        }
    }

    /// Why and for how long it rests, if it does so for what calls have done: so do most circuits that reject, and these need no
    /// look at all the rules.
    #[inline]
    fn rest(self, now: Moment) -> Option<(Why, u64)> {
        let circuit = self.core.circuit.load();
        let failed = circuit.word().failed_recoveries() > 0;
        let wait = circuit.left_of(self.settings.plain_rest(failed), now)?;
        let why = circuit.why();
        (!why.is_decreed()).then_some((why, wait))
    }

    #[cold]
    fn admit_by_rules(self, now: Moment) -> Result<Ticket, CircuitOpen> {
        let rules = self.settings.rules();
        match self.core.circuit.acquire(&self.witness(), |circuit| circuit.admit(&rules, now, random::up_to)) {
            Ok(ticket) => {
                if ticket.is_trial() {
                    self.core.date(now);
                    self.core.history().trial();
                }
                let timed = rules.slow_call().is_some();
                Ok(if timed { ticket.timed(now.as_micros()) } else { ticket })
            }
            Err((circuit, refusal)) => {
                let (why, wait) = refused(circuit, refusal);
                if rules.observe_only {
                    self.count_rejection(why, now);
                    return Ok(Ticket::UNADMITTED);
                }
                let note = if why.is_decreed() { self.core.note(circuit.word().epoch()) } else { None };
                Err(self.reject(why, wait, note, now))
            }
        }
    }

    #[inline]
    fn count_rejection(self, why: Why, now: Moment) {
        self.core.totals.add(Count::Rejection);
        self.core.history().rejection(now, why);
    }

    /// What the caller gets, counted and told to whoever listens.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost as much again")]
    fn reject(self, why: Why, wait: Option<u64>, note: Option<Arc<str>>, now: Moment) -> CircuitOpen {
        let changed_at = self.core.changed_at();
        let elapsed = Wait::new((changed_at != 0).then(|| now.as_micros().saturating_sub(changed_at)));
        let wait = Wait::new(wait);
        self.count_rejection(why, now);
        events::tell(|| self.told(why, wait, note.clone(), elapsed));
        // Made last, and another one for the event: so it comes into being where the caller wants it.
        self.rejection(why, wait, note, elapsed, Trace::begin(wait))
    }

    #[cold]
    fn told(self, why: Why, wait: Wait, note: Option<Arc<str>>, elapsed: Wait) -> Event {
        Event::CallRejected { rejection: self.rejection(why, wait, note, elapsed, Trace::NONE) }
    }

    #[inline]
    fn rejection(self, why: Why, wait: Wait, note: Option<Arc<str>>, elapsed: Wait, trace: Trace) -> CircuitOpen {
        CircuitOpen {
            name: self.settings.name,
            key: Rare(self.core.key.clone()),
            reason: why,
            note: Rare(note),
            elapsed,
            retry_after: wait,
            trace,
        }
    }
}

/// Why and for how long the call is refused.
const fn refused(circuit: Circuit, refusal: Refusal) -> (Why, Option<u64>) {
    match refusal {
        Refusal::Open { wait } => (circuit.why(), Some(wait)),
        Refusal::TrialsTaken { wait } => (Why::TRIALS_UNDER_WAY, Some(wait)),
        Refusal::Ramp { wait } => (Why::RAMPING_UP, Some(wait)),
        Refusal::Forced { wait } => (Why::FORCED, wait),
    }
}
