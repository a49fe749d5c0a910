//! Manual control: overrides requested through `POST /api/overrides`.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, OriginalUri, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use steadfast::{BreakerState, Override};

use crate::{AppState, guard, json};

/// An override that was requested with a valid token: see [`Dashboard::on_override`](crate::Dashboard::on_override).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OverrideRequest {
    /// The name of the breaker, or of the keyed breakers.
    pub breaker: String,
    /// The key, if a breaker of [`KeyedBreakers`](steadfast::KeyedBreakers) is meant.
    pub key: Option<String>,
    /// True if the overflow breaker is meant, which serves all keys without a breaker of their own. Then `key` is `None`.
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
struct RequestBody {
    breaker: String,
    key: Option<String>,
    #[serde(default)]
    overflow: bool,
    action: OverrideAction,
    reason: Option<String>,
    /// In seconds.
    expires_in: Option<f64>,
}

/// The largest accepted body in bytes; it fits the longest reason and a key.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;
/// The longest reason in characters; it fits on the page.
const MAX_REASON_CHARS: usize = 200;

pub(crate) async fn post(
    State(AppState(inner)): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(token) = &inner.token else {
        return error(StatusCode::FORBIDDEN, "read-only: no token is configured");
    };
    if !guard::is_same_origin(&headers, &uri) {
        return error(StatusCode::FORBIDDEN, "cross-origin request");
    }
    if !token.authorizes(&headers) {
        let mut response = error(StatusCode::UNAUTHORIZED, "wrong token");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return response;
    }
    if !is_json(&headers) {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let body = match serde_json::from_slice::<RequestBody>(&body) {
        Ok(body) => body,
        Err(invalid) => return error(StatusCode::BAD_REQUEST, &invalid.to_string()),
    };
    let request = match body.validate() {
        Ok(request) => request,
        Err(message) => return error(StatusCode::BAD_REQUEST, message),
    };
    let state = request.apply();
    let request = OverrideRequest { applied: state.is_some(), ..request };
    if let Some(callback) = &inner.on_override {
        // The override is in effect, so the response reports success even if the callback panics.
        guard::catch_panic(|| callback(&request));
    }
    match state {
        Some(state) => json(format!("{{\"state\":\"{state}\"}}")),
        None => error(StatusCode::NOT_FOUND, "no such breaker"),
    }
}

/// Limits the body to [`MAX_BODY_BYTES`].
pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_BODY_BYTES)
}

impl RequestBody {
    fn validate(self) -> Result<OverrideRequest, &'static str> {
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
    fn apply(&self) -> Option<BreakerState> {
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

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, json(serde_json::json!({ "error": message }).to_string())).into_response()
}
