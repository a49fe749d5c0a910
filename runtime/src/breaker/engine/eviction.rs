//! What an eviction of a key's breaker would lose.

use super::BreakerRef;
use crate::{
    breaker::{BreakerState, parameters::TripPolicy},
    clock,
    keyed_store::EvictionClass,
};

/// For how long a breaker that has recovered keeps its series, so that a short trip between two scrapes is seen.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
const RECENT: std::time::Duration = std::time::Duration::from_mins(10);

impl BreakerRef<'_> {
    /// How the breaker of a key stands, as long as no call is under way through it.
    pub(crate) fn standing(self) -> EvictionClass {
        match self.core.circuit.word().state() {
            BreakerState::Closed if self.is_ramping() => EvictionClass::Stays,
            BreakerState::Closed if self.counts_failures() => EvictionClass::Failing,
            BreakerState::Closed => EvictionClass::Idle,
            BreakerState::Open | BreakerState::HalfOpen if self.is_abandoned() => EvictionClass::Abandoned,
            BreakerState::ForcedOpen | BreakerState::Disabled if self.is_released() => EvictionClass::Abandoned,
            _ => EvictionClass::Stays,
        }
    }

    /// Whether the breaker of a key has series of its own in metrics: it is not closed, failures are counted, or it has changed its state
    /// a short time ago.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn is_troubled(self) -> bool {
        let has_changed = || self.core.changed_at() > 0 && clock::now().since(self.core.since()) < RECENT;
        self.state() != BreakerState::Closed || self.counts_failures() || has_changed()
    }

    /// Closed: whether calls are still rejected after a recovery.
    fn is_ramping(self) -> bool {
        let now = clock::now();
        self.circuit_by(now).is_ramping(&self.settings.rules(), now)
    }

    /// Closed: whether failures or slow calls are counted, in a row or in the window.
    fn counts_failures(self) -> bool {
        let (word, core) = (self.core.circuit.word(), self.core);
        let TripPolicy::Rates(rates) = self.settings.rules().policy else { return word.failures() > 0 };
        let counts = core.window.get().map(|window| window.counts(word.epoch(), rates.span, clock::now_micros));
        counts.is_some_and(|counts| counts.failed + counts.slow > 0)
    }

    /// Open or half-open: whether a trial call would be admitted, and twice the recovery timeout has passed since the last change of
    /// state. An open circuit has had no call since it was due, because that call would have changed the state.
    fn is_abandoned(self) -> bool {
        let (rules, now) = (self.settings.rules(), clock::now());
        let circuit = self.circuit_by(now);
        let open_duration = rules.recovery.open_duration(circuit.word().failed_recoveries());
        let is_due = circuit.time_left(&rules, now).is_none_or(|left| left == 0);
        is_due && clock::micros(now.since(self.core.since())) >= open_duration.saturating_mul(2)
    }

    /// Held by an operator: whether the time for that is over, which the next call would find.
    fn is_released(self) -> bool {
        let now = clock::now();
        self.circuit_by(now).time_left(&self.settings.rules(), now) == Some(0)
    }
}
