use std::{sync::Arc, time::SystemTime};

use crate::{BreakerState, OpenReason};

/// An entry in the history of a breaker: see [`CircuitBreaker::recent`](crate::CircuitBreaker::recent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The time of the event, converted from the monotonic clock when the history is read.
    pub at: SystemTime,
    /// The event.
    pub what: HistoryEvent,
}

/// An event in the history of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryEvent {
    /// The state changed.
    #[non_exhaustive]
    StateChanged {
        /// The previous state.
        from: BreakerState,
        /// The new state.
        to: BreakerState,
        /// The reason for the new state, with the counts that opened the circuit; `None` if the new state is neither open nor forced open.
        reason: Option<OpenReason>,
        /// The reason that an operator gave for a manual override.
        operator_reason: Option<Arc<str>>,
        /// The text of the failure that opened the circuit: see [`Snapshot::last_failure`](crate::Snapshot::last_failure).
        error: Option<Arc<str>>,
    },
    /// A call was rejected.
    #[non_exhaustive]
    Rejected {
        /// The reason for the rejection.
        reason: OpenReason,
        /// True if the call was made all the same, because of [`observe_only`](crate::BreakerConfig::observe_only).
        observed: bool,
    },
}
