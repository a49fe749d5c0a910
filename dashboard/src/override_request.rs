//! A request for manual control: its JSON, its validation, and the override that it applies.

use std::time::Duration;

use serde::Deserialize;
use steadfast::{BreakerState, Override};

/// An override that was requested with a valid token: see [`Dashboard::on_override`](crate::Dashboard::on_override).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OverrideRequest {
    /// The name of the breaker, or of the keyed breakers.
    pub breaker: String,
    /// The key, if the override is for one breaker of [`KeyedBreakers`](steadfast::KeyedBreakers).
    pub key: Option<String>,
    /// True if the override is for the overflow breaker, which serves all keys without a breaker of their own. `key` is then `None`.
    pub overflow: bool,
    /// The requested action.
    pub action: OverrideAction,
    /// The operator's reason; `None` only for a reset.
    pub reason: Option<String>,
    /// The time until the override ends; `None` if it has no expiry.
    pub expires_in: Option<Duration>,
    /// True if the override was applied, false if no such breaker exists.
    pub applied: bool,
}

/// The action of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OverrideAction {
    /// Rejects every call.
    ForceOpen,
    /// Admits every call, whatever its outcome.
    Disable,
    /// Closes the breaker and clears its failure counts.
    Reset,
}

/// The JSON body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestBody {
    breaker: String,
    key: Option<String>,
    #[serde(default)]
    overflow: bool,
    action: OverrideAction,
    reason: Option<String>,
    /// The time until the override ends, in seconds.
    expires_in: Option<f64>,
}

/// The maximum length of a reason in characters. A reason of this length fits on the page.
const MAX_REASON_CHARS: usize = 200;

impl RequestBody {
    pub(crate) fn validate(self) -> Result<OverrideRequest, &'static str> {
        let Self { breaker, key, overflow, action, reason, expires_in } = self;
        if overflow && key.is_some() {
            return Err("`overflow` and `key` exclude each other");
        }
        let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        if reason.is_none() && action != OverrideAction::Reset {
            return Err("a `reason` is required");
        }
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
            return Err("the `reason` is longer than 200 characters");
        }
        if reason.as_ref().is_some_and(|reason| reason.chars().any(char::is_control)) {
            return Err("the `reason` contains control characters");
        }
        let expires_in = match expires_in.map(Duration::try_from_secs_f64) {
            None => None,
            Some(_) if action == OverrideAction::Reset => return Err("a reset takes no `expires_in`"),
            Some(Ok(expires_in)) if !expires_in.is_zero() => Some(expires_in),
            Some(_) => return Err("`expires_in` must be a number of seconds above zero"),
        };
        Ok(OverrideRequest { breaker, key, overflow, action, reason, expires_in, applied: false })
    }
}

impl OverrideRequest {
    /// Applies the override and returns the resulting state; `None` if no such breaker exists.
    pub(crate) fn apply(&self) -> Option<BreakerState> {
        let requested = self.to_override();
        match &self.key {
            None if self.overflow => {
                let breaker = steadfast::keyed_breakers(&self.breaker)?.overflow()?;
                breaker.apply_override(&requested);
                Some(breaker.state())
            }
            None => {
                let breaker = steadfast::breaker(&self.breaker)?;
                breaker.apply_override(&requested);
                Some(breaker.state())
            }
            Some(key) => {
                let breaker = steadfast::keyed_breakers(&self.breaker)?.get(key)?;
                breaker.apply_override(&requested);
                Some(breaker.state())
            }
        }
    }

    fn to_override(&self) -> Override {
        let mut requested = match self.action {
            OverrideAction::ForceOpen => Override::force_open(),
            OverrideAction::Disable => Override::disable(),
            OverrideAction::Reset => Override::reset(),
        };
        if let Some(expires_in) = self.expires_in {
            requested = requested.expires_in(expires_in);
        }
        if let Some(reason) = &self.reason {
            requested = requested.reason(reason.as_str());
        }
        requested
    }
}
