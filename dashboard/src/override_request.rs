//! A request for manual control: its JSON and its validation.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use steadfast::Override;

use crate::access::MAX_OPERATOR_CHARS;

/// An override that was requested with a valid token: see [`Dashboard::on_override`](crate::Dashboard::on_override).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OverrideRequest {
    /// The name of the breaker, or of the keyed breakers.
    pub breaker: String,
    /// The key, if the override is for one breaker of [`KeyedBreakers`](steadfast::KeyedBreakers). If `breaker` names keyed breakers and
    /// there is neither a key nor `overflow`, the override is for all present keys and the overflow breaker.
    pub key: Option<String>,
    /// True if the override is for the overflow breaker, which serves all keys without a breaker of their own. `key` is then `None`.
    pub overflow: bool,
    /// The requested action.
    pub action: OverrideAction,
    /// The operator's reason; `None` only for a reset.
    pub reason: Option<String>,
    /// The time until the override ends; `None` if it has no expiry.
    pub expires_in: Option<Duration>,
    /// The name of the operator: that of [`Dashboard::operator`](crate::Dashboard::operator), or without it the one that the request
    /// claims, which nothing verifies.
    pub operator: Option<String>,
    /// The id with which the client repeats the request without a second effect.
    pub request_id: Option<String>,
    /// The number of state changes that the operator had seen; another one is a [conflict](Self::conflict).
    pub expected_transitions: Option<u64>,
    /// The number in the log of the last override that the operator had seen, 0 without one; another one is a
    /// [conflict](Self::conflict).
    pub expected_override: Option<u64>,
    /// The address of the peer, which may be a proxy; `None` if the dashboard is mounted in a service that does not provide
    /// `axum::extract::ConnectInfo<SocketAddr>`. `X-Forwarded-For` is not read: [`Dashboard::operator`](crate::Dashboard::operator) can
    /// read the headers of a proxy that is trusted.
    pub peer: Option<SocketAddr>,
    /// The number of breakers to which the override was applied; 0 if no such breaker exists, and after a conflict.
    pub applied: usize,
    /// True if the override was not applied, because the breaker had changed since the operator looked at it.
    pub conflict: bool,
}

/// The action of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
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
    #[serde(default)]
    expires_in: Expiry,
    operator: Option<String>,
    request_id: Option<String>,
    expected_transitions: Option<u64>,
    #[serde(default)]
    expected_override: ExpectedOverride,
}

/// The field `expected_override`: `None` if it is absent, 0 if it is null.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(from = "Option<u64>")]
struct ExpectedOverride(Option<u64>);

impl From<Option<u64>> for ExpectedOverride {
    fn from(seen: Option<u64>) -> Self {
        Self(Some(seen.unwrap_or(0)))
    }
}

/// The field `expires_in`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(from = "Option<f64>")]
enum Expiry {
    #[default]
    Absent,
    /// Null.
    Never,
    /// The time until the override ends, in seconds.
    Seconds(f64),
}

impl From<Option<f64>> for Expiry {
    fn from(seconds: Option<f64>) -> Self {
        seconds.map_or(Self::Never, Self::Seconds)
    }
}

/// The expiry of an override whose request has none. A forgotten override ends by then.
const DEFAULT_EXPIRY: Duration = Duration::from_mins(15);

/// The maximum length of a reason in characters. A reason of this length fits on the page.
const MAX_REASON_CHARS: usize = 200;

/// The lengths of an id in characters. 8 random characters distinguish the requests of 10 minutes.
const REQUEST_ID_CHARS: std::ops::RangeInclusive<usize> = 8..=64;

impl RequestBody {
    pub(crate) fn validate(self) -> Result<OverrideRequest, &'static str> {
        let Self { breaker, key, overflow, action, reason, expires_in, operator, request_id, .. } = self;
        if overflow && key.is_some() {
            return Err("`overflow` and `key` exclude each other");
        }
        let reason = trimmed(reason);
        if reason.is_none() && action != OverrideAction::Reset {
            return Err("a `reason` is required");
        }
        if is_longer(reason.as_ref(), MAX_REASON_CHARS) {
            return Err("the `reason` is longer than 200 characters");
        }
        if has_control_characters(reason.as_ref()) {
            return Err("the `reason` contains control characters");
        }
        let operator = trimmed(operator);
        if is_longer(operator.as_ref(), MAX_OPERATOR_CHARS) {
            return Err("the `operator` is longer than 64 characters");
        }
        if has_control_characters(operator.as_ref()) {
            return Err("the `operator` contains control characters");
        }
        let is_id =
            |id: &String| REQUEST_ID_CHARS.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if request_id.as_ref().is_some_and(|id| !is_id(id)) {
            return Err("`request_id` must be 8 to 64 visible ASCII characters");
        }
        let expires_in = match (expires_in, action) {
            (Expiry::Never, _) | (Expiry::Absent, OverrideAction::Reset) => None,
            (Expiry::Absent, _) => Some(DEFAULT_EXPIRY),
            (Expiry::Seconds(_), OverrideAction::Reset) => return Err("a reset takes no `expires_in`"),
            (Expiry::Seconds(seconds), _) => {
                let expires_in = Duration::try_from_secs_f64(seconds).ok().filter(|expires_in| !expires_in.is_zero());
                Some(expires_in.ok_or("`expires_in` must be a number of seconds above zero, or null for no expiry")?)
            }
        };
        Ok(OverrideRequest {
            breaker,
            key,
            overflow,
            action,
            reason,
            expires_in,
            operator,
            request_id,
            expected_transitions: self.expected_transitions,
            expected_override: self.expected_override.0,
            peer: None,
            applied: 0,
            conflict: false,
        })
    }
}

impl OverrideRequest {
    pub(crate) fn to_override(&self) -> Override {
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

impl OverrideAction {
    /// Returns the name of the action in requests and in the log: `force_open`, `disable` or `reset`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForceOpen => "force_open",
            Self::Disable => "disable",
            Self::Reset => "reset",
        }
    }
}

fn trimmed(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn is_longer(text: Option<&String>, chars: usize) -> bool {
    text.is_some_and(|text| text.chars().count() > chars)
}

fn has_control_characters(text: Option<&String>) -> bool {
    text.is_some_and(|text| text.chars().any(char::is_control))
}
