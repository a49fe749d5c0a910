//! An operator's hand.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, OriginalUri, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use steadfast::Override;

use crate::{Shared, guard, json};

/// What an operator did to a breaker, or tried to: see [`Dashboard::on_action`](crate::Dashboard::on_action).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Action {
    /// The breaker's name.
    pub breaker: String,
    /// Which of the breakers of that name, where there is one for each key.
    pub key: Option<String>,
    /// True for the breaker that all keys share that have none of their own. Its `key` is `None`.
    pub overflow: bool,
    /// What.
    pub kind: ActionKind,
    /// Why.
    pub reason: Option<String>,
    /// For how long.
    pub expires_in: Option<Duration>,
    /// Whether there is such a breaker.
    pub done: bool,
}

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionKind {
    /// Let no call through.
    ForceOpen,
    /// Let all calls through, whatever happens.
    Disable,
    /// Close it with nothing counted.
    Reset,
}

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    breaker: String,
    key: Option<String>,
    #[serde(default)]
    overflow: bool,
    action: ActionKind,
    reason: Option<String>,
    /// In seconds.
    expires_in: Option<f64>,
}

/// What a request may have in bytes: room for the longest reason and a key.
pub(crate) const LONGEST_BODY: usize = 16 * 1024;
/// The longest reason in characters: one that fits on the page.
const LONGEST_REASON: usize = 200;

pub(crate) async fn act(
    State(Shared(inner)): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(token) = &inner.token else {
        return refuse(StatusCode::FORBIDDEN, "read-only: no token is configured");
    };
    if !guard::is_own_origin(&headers, &uri) {
        return refuse(StatusCode::FORBIDDEN, "the request comes from another page");
    }
    if !token.is_in(&headers) {
        let mut refused = refuse(StatusCode::UNAUTHORIZED, "wrong token");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return refused;
    }
    if !is_json(&headers) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let wanted = match serde_json::from_slice::<Wanted>(&body) {
        Ok(wanted) => wanted,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (action, intervention) = match wanted.check() {
        Ok(checked) => checked,
        Err(mistake) => return refuse(StatusCode::BAD_REQUEST, mistake),
    };
    let state = action.apply(&intervention);
    let action = Action { done: state.is_some(), ..action };
    if let Some(callback) = &inner.on_action {
        // What was asked for is done, whatever becomes of the callback.
        guard::contain(|| callback(&action));
    }
    match state {
        Some(state) => json(format!("{{\"state\":\"{state}\"}}")),
        None => refuse(StatusCode::NOT_FOUND, "there is no such breaker"),
    }
}

/// Keeps the bodies of requests short.
pub(crate) fn limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(LONGEST_BODY)
}

impl Wanted {
    fn check(self) -> Result<(Action, Override), &'static str> {
        let Self { breaker, key, overflow, action: kind, reason, expires_in } = self;
        if overflow && key.is_some() {
            return Err("the overflow has no `key`");
        }
        let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        if reason.is_none() && kind != ActionKind::Reset {
            return Err("a `reason` is needed: others will ask");
        }
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            return Err("the `reason` is longer than 200 characters");
        }
        if reason.as_ref().is_some_and(|reason| reason.chars().any(char::is_control)) {
            return Err("the `reason` has control characters");
        }
        let expires_in = match expires_in.map(Duration::try_from_secs_f64) {
            None => None,
            Some(_) if kind == ActionKind::Reset => return Err("a reset is over at once: `expires_in` means nothing"),
            Some(Ok(expires_in)) if !expires_in.is_zero() => Some(expires_in),
            Some(_) => return Err("`expires_in` must be a number of seconds above zero"),
        };
        let mut intervention = match kind {
            ActionKind::ForceOpen => Override::force_open(),
            ActionKind::Disable => Override::disable(),
            ActionKind::Reset => Override::reset(),
        };
        if let Some(expires_in) = expires_in {
            intervention = intervention.expires_in(expires_in);
        }
        if let Some(reason) = &reason {
            intervention = intervention.reason(reason.as_str());
        }
        Ok((Action { breaker, key, overflow, kind, reason, expires_in, done: false }, intervention))
    }
}

impl Action {
    /// The state that it led to; `None` if there is no such breaker.
    fn apply(&self, intervention: &Override) -> Option<steadfast::BreakerState> {
        match &self.key {
            None if self.overflow => {
                let breaker = steadfast::keyed_breakers(&self.breaker)?.overflow()?;
                breaker.apply_override(intervention);
                Some(breaker.state())
            }
            None => {
                let breaker = steadfast::breaker(&self.breaker)?;
                breaker.apply_override(intervention);
                Some(breaker.state())
            }
            Some(key) => {
                let breaker = steadfast::keyed_breakers(&self.breaker)?.get(key)?;
                breaker.apply_override(intervention);
                Some(breaker.state())
            }
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, json(serde_json::json!({ "error": why }).to_string())).into_response()
}
