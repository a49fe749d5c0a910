//! Outages: the time from the opening of a closed circuit until it closes again.

use std::sync::Arc;

use super::{BreakerState, state::Circuit};
use crate::{OpenReason, clock::Moment, errors::PackedReason};

/// An outage, as the history of a breaker stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredOutage {
    pub(super) since: Moment,
    /// The reason for the first opening.
    pub(super) reason: OpenReason,
    failed_recoveries: u32,
    /// The text of the failure that opened the circuit first.
    pub(super) error: Option<Arc<str>>,
}

impl StoredOutage {
    /// The outage after a transition at `now`; `None` if there is none. `error` is the failure that made the transition.
    pub(super) fn after(
        current: Option<Self>,
        from: Circuit,
        to: Circuit,
        now: Moment,
        error: Option<&Arc<str>>,
    ) -> Option<Self> {
        let state = to.word().state();
        if matches!(state, BreakerState::Closed | BreakerState::Disabled) {
            return None;
        }
        let Some(mut outage) = current else {
            let reason = opening_reason(to)?;
            let failed_recoveries = u32::from(to.failed_recoveries());
            return Some(Self { since: now, reason, failed_recoveries, error: error.cloned() });
        };
        outage.failed_recoveries = outage.failed_recoveries(from);
        let has_failed = from.word().state() == BreakerState::HalfOpen && state == BreakerState::Open;
        if has_failed && to.reason() != PackedReason::OVERRIDE {
            outage.failed_recoveries = outage.failed_recoveries.saturating_add(1);
        }
        outage.failed_recoveries = outage.failed_recoveries(to);
        Some(outage)
    }

    /// The number of failed recoveries, those of `circuit` included: an override to an open circuit can raise them without a transition.
    pub(super) fn failed_recoveries(&self, circuit: Circuit) -> u32 {
        self.failed_recoveries.max(u32::from(circuit.failed_recoveries()))
    }
}

/// The reason for which a circuit has become open or forced open; `None` in other states.
pub(super) const fn opening_reason(circuit: Circuit) -> Option<OpenReason> {
    match circuit.word().state() {
        BreakerState::Open => Some(circuit.reason().reason()),
        BreakerState::ForcedOpen => Some(OpenReason::Forced),
        _ => None,
    }
}
