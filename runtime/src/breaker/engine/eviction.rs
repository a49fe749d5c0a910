//! The eviction order of keyed breakers: those whose eviction loses the least information come first.

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use std::time::Duration;

use super::BreakerRef;
use crate::{breaker::BreakerState, clock, keyed_store::EvictionClass};

/// The time for which a recovered breaker keeps its own metric series, so that a short outage between two scrapes is visible.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
const RECENT: Duration = Duration::from_mins(10);

impl BreakerRef<'_> {
    /// The eviction class of a keyed breaker that has no calls in flight.
    pub(crate) fn eviction_class(self) -> EvictionClass {
        match self.engine.circuit.word().state() {
            BreakerState::Closed if self.is_ramping() => EvictionClass::Pinned,
            BreakerState::Closed if self.has_failures() => EvictionClass::Failing,
            BreakerState::Closed => EvictionClass::Idle,
            BreakerState::Open | BreakerState::HalfOpen if self.is_abandoned() => EvictionClass::Abandoned,
            BreakerState::ForcedOpen | BreakerState::Disabled if self.has_expired() => EvictionClass::Abandoned,
            _ => EvictionClass::Pinned,
        }
    }

    /// Returns true if a keyed breaker gets metric series of its own: it is not closed, has failures, or has changed its state in the last
    /// ten minutes.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn is_unhealthy(self) -> bool {
        let has_changed = || self.engine.changed_at() > 0 && clock::now().since(self.engine.since()) < RECENT;
        self.state() != BreakerState::Closed || self.has_failures() || has_changed()
    }

    /// The time since the circuit of a keyed breaker opened, if it has not closed since, is not overridden, and the key is in use: the circuit
    /// still rejects calls, or has changed its state in the last ten minutes. Without that condition, the outage of a key that is no longer
    /// called would not end.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn outage_in_use(self) -> Option<Duration> {
        if !matches!(self.engine.circuit.word().state(), BreakerState::Open | BreakerState::HalfOpen) {
            return None;
        }
        let now = clock::now();
        let state = self.rebased_circuit(now).state_at(&self.settings.parameters(), now);
        let is_in_use = state == BreakerState::Open || now.since(self.engine.since()) < RECENT;
        let since = self.engine.history.get()?.details().outage.as_ref()?.since;
        is_in_use.then(|| now.since(since))
    }

    /// Returns true if a closed circuit is ramping up and may reject calls.
    fn is_ramping(self) -> bool {
        let now = clock::now();
        self.rebased_circuit(now).is_ramping(&self.settings.parameters(), now)
    }

    /// Returns true if a closed circuit has failures or slow calls, in a row or in its window.
    fn has_failures(self) -> bool {
        let (word, engine) = (self.engine.circuit.word(), self.engine);
        let policy = self.settings.parameters().policy;
        if policy.threshold().is_some() && word.failures() > 0 {
            return true;
        }
        let Some(rates) = policy.rates() else { return false };
        let counts = engine.window.get().map(|window| window.counts(word.epoch(), rates.window, clock::now_micros));
        counts.is_some_and(|counts| counts.failed + counts.slow > 0)
    }

    /// Returns true if an open or half-open circuit would admit a trial call, and twice the recovery timeout has passed since the last
    /// change of state. If the circuit is open, there was no call after its recovery timeout: that call would have made it half-open.
    fn is_abandoned(self) -> bool {
        let (parameters, now) = (self.settings.parameters(), clock::now());
        let circuit = self.rebased_circuit(now);
        let open_duration = parameters.recovery.open_duration(circuit.failed_recoveries());
        let is_due = circuit.time_left(&parameters, now).is_none_or(|left| left == 0);
        is_due && clock::micros(now.since(self.engine.since())) >= open_duration.saturating_mul(2)
    }

    /// Returns true if the override of a forced open or disabled circuit has expired.
    fn has_expired(self) -> bool {
        let now = clock::now();
        self.rebased_circuit(now).time_left(&self.settings.parameters(), now) == Some(0)
    }
}
