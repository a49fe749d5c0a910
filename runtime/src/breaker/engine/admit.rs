//! Before a call: whether it is admitted, and what it gets if it is not.

use std::{hint, sync::Arc};

use super::BreakerRef;
use crate::{
    CircuitOpen,
    breaker::state::{Admission, Circuit, Rejection},
    clock::{self, Moment, OptMicros},
    errors::{OptText, PackedReason},
    events::{self, Event},
    random,
    stack::RejectionTrace,
    totals::Count,
};

impl BreakerRef<'_> {
    #[inline]
    pub(crate) fn admit(self) -> Result<Admission, CircuitOpen> {
        match self.admit_freely() {
            Some(admission) => Ok(admission),
            None => {
                hint::cold_path();
                self.admit_guarded()
            }
        }
    }

    /// Admits a call if nothing has to be looked at but the word.
    #[inline]
    pub(crate) fn admit_freely(self) -> Option<Admission> {
        let word = self.core.circuit.word();
        word.admits_freely().then(|| word.admission())
    }

    #[inline(never)]
    fn admit_guarded(self) -> Result<Admission, CircuitOpen> {
        let now = clock::now();
        self.sync_clock(now);
        match self.open_duration(now) {
            Some((why, wait)) => Err(self.reject(why, Some(wait), None, now)),
            None => self.admit_by_rules(now),
        }
    }

    /// Why and for how long it rests, if it does so for what calls have done: so do most circuits that reject, and these need no
    /// look at all the rules.
    #[inline]
    fn open_duration(self, now: Moment) -> Option<(PackedReason, u64)> {
        let circuit = self.core.circuit.load();
        let failed = circuit.word().failed_recoveries() > 0;
        let wait = circuit.remaining(self.settings.fixed_open_duration(failed), now)?;
        let why = circuit.reported_reason();
        (!why.is_operator_set()).then_some((why, wait))
    }

    #[cold]
    fn admit_by_rules(self, now: Moment) -> Result<Admission, CircuitOpen> {
        let rules = self.settings.rules();
        match self.core.circuit.acquire(&self.observer(), |circuit| circuit.admit(&rules, now, random::up_to)) {
            Ok(admission) => {
                if admission.is_trial() {
                    self.core.stamp_clock(now);
                    self.core.history().trial();
                }
                let timed = rules.slow_call().is_some();
                Ok(if timed { admission.timed(now.as_micros()) } else { admission })
            }
            Err((circuit, refusal)) => {
                let (why, wait) = refused(circuit, refusal);
                if rules.observe_only {
                    self.count_rejection(why, now);
                    return Ok(Admission::UNADMITTED);
                }
                let note = if why.is_operator_set() { self.core.note(circuit.word().epoch()) } else { None };
                Err(self.reject(why, wait, note, now))
            }
        }
    }

    #[inline]
    fn count_rejection(self, why: PackedReason, now: Moment) {
        self.core.totals.add(Count::Rejection);
        self.core.history().rejection(now, why);
    }

    /// What the caller gets, counted and told to whoever listens.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost as much again")]
    fn reject(self, why: PackedReason, wait: Option<u64>, note: Option<Arc<str>>, now: Moment) -> CircuitOpen {
        let changed_at = self.core.changed_at();
        let elapsed = OptMicros::new((changed_at != 0).then(|| now.as_micros().saturating_sub(changed_at)));
        let wait = OptMicros::new(wait);
        self.count_rejection(why, now);
        events::emit(|| self.told(why, wait, note.clone(), elapsed));
        // Made last, and another one for the event: so it comes into being where the caller wants it.
        self.rejection(why, wait, note, elapsed, RejectionTrace::begin(wait))
    }

    #[cold]
    fn told(self, why: PackedReason, wait: OptMicros, note: Option<Arc<str>>, elapsed: OptMicros) -> Event {
        Event::CallRejected { rejection: self.rejection(why, wait, note, elapsed, RejectionTrace::NONE) }
    }

    #[inline]
    fn rejection(
        self,
        why: PackedReason,
        wait: OptMicros,
        note: Option<Arc<str>>,
        elapsed: OptMicros,
        trace: RejectionTrace,
    ) -> CircuitOpen {
        CircuitOpen {
            name: self.settings.name,
            key: OptText(self.core.key.clone()),
            reason: why,
            note: OptText(note),
            elapsed,
            retry_after: wait,
            trace,
        }
    }
}

/// Why and for how long the call is refused.
const fn refused(circuit: Circuit, refusal: Rejection) -> (PackedReason, Option<u64>) {
    match refusal {
        Rejection::Open { wait } => (circuit.reported_reason(), Some(wait)),
        Rejection::TrialsTaken { wait } => (PackedReason::TRIALS_UNDER_WAY, Some(wait)),
        Rejection::Ramp { wait } => (PackedReason::RAMPING_UP, Some(wait)),
        Rejection::Forced { wait } => (PackedReason::FORCED, wait),
    }
}
