//! The last known state of the fleet, with its end as a local time.

use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::{FleetState, StateKind};

/// The state that the instances have agreed on, as last received by this instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgreedState {
    /// Closed, or not yet received.
    Closed,
    /// Closed by an operator.
    Reset,
    Open {
        until: Instant,
        failed_recoveries: u32,
    },
    ForcedOpen {
        until: Option<Instant>,
    },
    Disabled {
        until: Option<Instant>,
    },
}

impl AgreedState {
    /// Converts a state received from Redis; `None` if Redis has no state for the breaker.
    pub(super) fn received(state: &FleetState, now: Instant) -> Option<Self> {
        let until = state.remaining.map(|remaining| now + remaining);
        Some(match state.kind {
            StateKind::Missing => return None,
            StateKind::Closed => Self::Closed,
            StateKind::Reset => Self::Reset,
            StateKind::Open => Self::Open { until: until.unwrap_or(now), failed_recoveries: state.failed_recoveries },
            StateKind::ForcedOpen => Self::ForcedOpen { until },
            StateKind::Disabled => Self::Disabled { until },
        })
    }

    /// Converts to the form that Redis stores: kind, remaining time, failed recoveries. An expired override is converted to the state that
    /// follows it.
    pub(super) fn to_stored(self, now: Instant) -> (StateKind, Option<Duration>, u32) {
        let (kind, until, failed_recoveries) = match (self, self.open_phase(now)) {
            (Self::ForcedOpen { until }, _) if self.is_override_active(now) => (StateKind::ForcedOpen, until, 0),
            (Self::Disabled { until }, _) if self.is_override_active(now) => (StateKind::Disabled, until, 0),
            (_, Some((until, failed_recoveries))) => (StateKind::Open, Some(until), failed_recoveries),
            (_, None) => (StateKind::Closed, None, 0),
        };
        (kind, until.map(|until| until.saturating_duration_since(now)), failed_recoveries)
    }

    /// Returns true if this is an operator's override that has not expired.
    pub(super) fn is_override_active(self, now: Instant) -> bool {
        match self {
            Self::ForcedOpen { until } | Self::Disabled { until } => until.is_none_or(|until| until > now),
            _ => false,
        }
    }

    /// Returns the end of the fleet's recovery timeout and the number of failed recoveries; `None` if the fleet's circuit is not open.
    ///
    /// A circuit that was forced open stays open after the override expires, until a recovery succeeds.
    pub(super) const fn open_phase(self, now: Instant) -> Option<(Instant, u32)> {
        match self {
            Self::Open { until, failed_recoveries } => Some((until, failed_recoveries)),
            Self::ForcedOpen { until } => Some((if let Some(until) = until { until } else { now }, 0)),
            Self::Closed | Self::Reset | Self::Disabled { .. } => None,
        }
    }
}
