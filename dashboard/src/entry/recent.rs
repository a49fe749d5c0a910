//! Recent events of a breaker.

use serde::Serialize;
use steadfast::{HistoryEntry, HistoryEvent};

use super::{condition::state_name, unix_seconds};

/// A state change (with `from` and `to`) or a rejection (without).
#[derive(Serialize)]
pub(crate) struct RecentEvent {
    pub(crate) at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<&'static str>,
    /// For a state change, the operator's reason, or else the rule that opened the breaker; for a rejection, its reason. Empty if there
    /// is none.
    pub(crate) reason: String,
}

impl RecentEvent {
    pub(crate) fn new(HistoryEntry { at, what, .. }: HistoryEntry) -> Self {
        let at = unix_seconds(at);
        match what {
            HistoryEvent::StateChanged { from, to, reason, operator_reason, .. } => {
                let reason =
                    operator_reason.map(|reason| reason.to_string()).or(reason.map(|reason| reason.to_string()));
                let (from, to) = (Some(state_name(from)), Some(state_name(to)));
                Self { at, from, to, reason: reason.unwrap_or_default() }
            }
            HistoryEvent::Rejected { reason, .. } => Self { at, from: None, to: None, reason: reason.to_string() },
            _ => Self { at, from: None, to: None, reason: String::new() },
        }
    }
}
