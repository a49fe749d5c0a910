//! What the fleet has agreed on, as this instance sees it.

use std::time::Duration;

use tokio::time::Instant;

use crate::answer::{Kind, Known};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Closed, or never heard of.
    Closed,
    /// Closed by an operator.
    Reset,
    Open {
        until: Instant,
        failed: u32,
    },
    Forced {
        until: Option<Instant>,
    },
    Disabled {
        until: Option<Instant>,
    },
}

impl View {
    /// What Redis says; `None` if it knows nothing.
    pub(super) fn of(known: &Known, now: Instant) -> Option<Self> {
        let until = known.left.map(|left| now + left);
        Some(match known.kind {
            Kind::Missing => return None,
            Kind::Closed => Self::Closed,
            Kind::Reset => Self::Reset,
            Kind::Open => Self::Open { until: until.unwrap_or(now), failed: known.failed },
            Kind::Forced => Self::Forced { until },
            Kind::Disabled => Self::Disabled { until },
        })
    }

    /// The same in Redis's words: what, for how long, after how many failed recoveries. What an operator has said and what is over is
    /// what has come of it.
    pub(super) fn told(self, now: Instant) -> (Kind, Option<Duration>, u32) {
        let (kind, until, failed) = match (self, self.rest(now)) {
            (Self::Forced { until }, _) if self.is_order(now) => (Kind::Forced, until, 0),
            (Self::Disabled { until }, _) if self.is_order(now) => (Kind::Disabled, until, 0),
            (_, Some((until, failed))) => (Kind::Open, Some(until), failed),
            (_, None) => (Kind::Closed, None, 0),
        };
        (kind, until.map(|until| until.saturating_duration_since(now)), failed)
    }

    /// Whether an operator of the fleet holds it now.
    pub(super) fn is_order(self, now: Instant) -> bool {
        match self {
            Self::Forced { until } | Self::Disabled { until } => until.is_none_or(|until| until > now),
            _ => false,
        }
    }

    /// Until when the fleet's circuit rests, and how many recoveries have failed; `None` if it is closed. What was forced open is open
    /// when that is over.
    pub(super) const fn rest(self, now: Instant) -> Option<(Instant, u32)> {
        match self {
            Self::Open { until, failed } => Some((until, failed)),
            Self::Forced { until } => Some((if let Some(until) = until { until } else { now }, 0)),
            Self::Closed | Self::Reset | Self::Disabled { .. } => None,
        }
    }
}
