//! Admission: the decision before a call, and the rejection.

use std::{hint, sync::Arc};

use super::BreakerRef;
use crate::{
    BreakerState, CircuitOpen,
    breaker::state::{Admission, Circuit, Rejection},
    clock::{self, Moment, OptMicros},
    errors::{OptText, PackedReason},
    events::{self, Event},
    random,
    stack::RejectionTrace,
    totals::Count,
};

impl BreakerRef<'_> {
    /// Decides whether a call is admitted. A rejection is counted, stored in the history and emitted as an event.
    #[inline]
    pub(crate) fn admit(self) -> Result<Admission, CircuitOpen> {
        match self.admit_fast() {
            Some(admission) => Ok(admission),
            None => {
                hint::cold_path();
                self.admit_timed().map_or_else(|| self.admit_slow(), Ok)
            }
        }
    }

    /// The fast path: admits a call if the circuit is closed or disabled and no clock reading is needed. `None` means that
    /// [`admit`](Self::admit) has to decide.
    #[inline]
    pub(crate) fn admit_fast(self) -> Option<Admission> {
        let word = self.engine.circuit.word();
        word.admits_without_clock().then(|| word.admission())
    }

    #[inline(never)]
    fn admit_slow(self) -> Result<Admission, CircuitOpen> {
        let now = clock::coarse();
        self.sync_clock(now);
        match self.open_rejection(now) {
            Some((reason, wait)) => Err(self.reject(reason, Some(wait), None, now)),
            None => self.decide(now),
        }
    }

    /// The reason and the remaining time, in microseconds, if the outcome of a call opened the circuit, the recovery timeout is fixed, and
    /// a coarse reading of the clock decides. Most rejections take this path, which loads one word of the settings instead of all.
    #[inline]
    fn open_rejection(self, now: Moment) -> Option<(PackedReason, u64)> {
        let circuit = self.engine.circuit.load();
        let failed = circuit.failed_recoveries() > 0;
        let wait = circuit.remaining(self.settings.fixed_open_duration(failed), now)?;
        let reason = circuit.reported_reason();
        (wait > clock::resolution() && !reason.is_operator_set()).then_some((reason, wait))
    }

    /// Decides by the state machine. `now` is a coarse reading of the clock, so the exact clock is read if it could decide otherwise.
    #[cold]
    fn decide(self, now: Moment) -> Result<Admission, CircuitOpen> {
        let parameters = self.parameters();
        let admit = |circuit: Circuit| {
            let admit_at = |now| circuit.admit(&parameters, now, random::up_to);
            // Each decision of a ramp-up draws a random number, so it is made once.
            if circuit.word().state() == BreakerState::Closed {
                return admit_at(clock::now());
            }
            let decision = admit_at(now);
            if decision.is_rejection_for(clock::resolution()) { decision } else { admit_at(clock::now()) }
        };
        if parameters.hung_call.is_some() {
            self.count_hung();
        }
        match self.engine.circuit.acquire(&self.observer(None), admit) {
            Ok(admission) => {
                if admission.is_trial() {
                    self.engine.stamp_clock(now);
                    self.engine.history().count_trial_call();
                }
                Ok(if parameters.is_timed() && admission.counts() { self.start_timed(admission) } else { admission })
            }
            Err((circuit, rejection)) => {
                let (reason, wait) = reason_and_wait(circuit, rejection);
                if parameters.observe_only {
                    self.engine.history().record_observed_rejection(now, reason);
                    return Ok(Admission::OBSERVED);
                }
                let operator_reason =
                    if reason.is_operator_set() { self.engine.operator_reason(circuit.word().epoch()) } else { None };
                Err(self.reject(reason, wait, operator_reason, now))
            }
        }
    }

    /// Rejects a call: counts the rejection, emits its event and returns the error for the caller.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost as much again")]
    fn reject(
        self,
        reason: PackedReason,
        wait: Option<u64>,
        operator_reason: Option<Arc<str>>,
        now: Moment,
    ) -> CircuitOpen {
        let changed_at = self.engine.changed_at();
        let elapsed = OptMicros::new((changed_at != 0).then(|| now.as_micros().saturating_sub(changed_at)));
        let wait = OptMicros::new(wait);
        self.engine.totals.add(Count::Rejection);
        self.engine.history().record_rejection(now, reason);
        events::emit(|| self.event(reason, wait, operator_reason.clone(), elapsed));
        // Built last, directly in the return slot; the event has its own copy.
        self.rejection(reason, wait, operator_reason, elapsed, RejectionTrace::begin(wait))
    }

    #[cold]
    fn event(
        self,
        reason: PackedReason,
        wait: OptMicros,
        operator_reason: Option<Arc<str>>,
        elapsed: OptMicros,
    ) -> Event {
        Event::CallRejected { rejection: self.rejection(reason, wait, operator_reason, elapsed, RejectionTrace::NONE) }
    }

    #[inline]
    fn rejection(
        self,
        reason: PackedReason,
        wait: OptMicros,
        operator_reason: Option<Arc<str>>,
        elapsed: OptMicros,
        trace: RejectionTrace,
    ) -> CircuitOpen {
        CircuitOpen {
            name: self.settings.name,
            key: OptText(self.engine.key.clone()),
            reason,
            note: OptText(operator_reason),
            failure: self.engine.history().failure(),
            elapsed,
            retry_after: wait,
            trace,
        }
    }
}

/// The reason of a rejection, and the time until calls can be admitted, in microseconds.
const fn reason_and_wait(circuit: Circuit, rejection: Rejection) -> (PackedReason, Option<u64>) {
    match rejection {
        Rejection::Open { wait } => (circuit.reported_reason(), Some(wait)),
        Rejection::TrialsTaken { wait } => (PackedReason::TRIALS_UNDER_WAY, Some(wait)),
        Rejection::Ramp { wait } => (PackedReason::RAMPING_UP, Some(wait)),
        Rejection::Forced { wait } => (PackedReason::FORCED, wait),
    }
}
