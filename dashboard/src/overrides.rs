//! Manual control: `POST /api/overrides`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, OriginalUri, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    entry::{condition::state_name, unix_seconds},
    guard,
    override_request::{OverrideRequest, RequestBody},
    override_target::{Applied, Conflict, NoTarget, Outcome, Target},
    request_ids::{Answer, IdInUse},
    responses::error,
    state::{AppState, Inner},
};

/// The maximum size of the body of an override in bytes. It is enough for the longest reason and a key.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Limits the body to [`MAX_BODY_BYTES`].
pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_BODY_BYTES)
}

/// Applies an override: `POST /api/overrides`.
pub(crate) async fn override_breaker(
    State(AppState(inner)): State<AppState>,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    if !guard::is_same_origin(&parts.headers, uri) {
        return error(StatusCode::FORBIDDEN, "cross-origin request");
    }
    if let Err(denial) = inner.access.check_override(&parts.headers) {
        return guard::denied(denial);
    }
    if !is_json(&parts.headers) {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return error(rejection.status(), &rejection.body_text()),
    };
    let body = match serde_json::from_slice::<RequestBody>(&body) {
        Ok(body) => body,
        Err(invalid) => return error(StatusCode::BAD_REQUEST, &invalid.to_string()),
    };
    let request = match body.validate() {
        Ok(request) => request,
        Err(message) => return error(StatusCode::BAD_REQUEST, message),
    };
    let answer = request.request_id.as_ref().map(|id| inner.request_ids.answer_cell(id, &request, Instant::now()));
    let answer = match answer {
        None => None,
        Some(Ok(answer)) => Some(answer),
        Some(Err(IdInUse)) => return error(StatusCode::BAD_REQUEST, "this `request_id` belongs to another request"),
    };
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    let operator = inner.access.operator(&parts, request.operator.clone());
    let request = OverrideRequest { operator, peer, ..request };
    match answer {
        None => answer_to(&inner, request).await.into_response(),
        // A request that is repeated while the first is in progress waits for its answer.
        Some(answer) => answer.get_or_init(|| answer_to(&inner, request)).await.clone().into_response(),
    }
}

/// Applies an override, records it and calls the callback. Nothing awaits after the override is applied, so a client that disconnects
/// cannot prevent the rest.
async fn answer_to(inner: &Arc<Inner>, mut request: OverrideRequest) -> Answer {
    let outcome = match Target::find(&request) {
        Ok(target) => Ok(target.apply(&request, &inner.feed.log).await),
        Err(no_target) => Err(no_target),
    };
    match &outcome {
        Ok(Outcome::Applied(applied)) => request.applied = applied.breakers,
        Ok(Outcome::Conflict(_)) => request.conflict = true,
        Err(_) => {}
    }
    let answer = match outcome {
        Ok(Outcome::Applied(applied)) => applied_answer(applied),
        Ok(Outcome::Conflict(conflict)) => conflict_answer(&conflict),
        Err(no_target) => no_target_answer(no_target),
    };
    if let Some(callback) = &inner.on_override {
        // The override is in effect, so the response reports success even if the callback panics.
        guard::catch_panic(|| callback(&request));
    }
    answer
}

fn applied_answer(Applied { to, breakers, n, expires_at }: Applied) -> Answer {
    let json = json!({ "state": state_name(to), "applied": breakers, "expires_at": expires_at, "n": n });
    Answer { status: StatusCode::OK, json: json.to_string() }
}

fn conflict_answer(conflict: &Conflict) -> Answer {
    let Conflict { state, since, operator, reason, n, at, action, key } = conflict;
    let json = json!({
        "error": "changed meanwhile",
        "state": state_name(*state),
        "since": since.map(unix_seconds),
        "operator": operator,
        "reason": reason,
        "action": action,
        "at": at,
        "n": n,
        "key": key.as_deref(),
    });
    Answer { status: StatusCode::CONFLICT, json: json.to_string() }
}

fn no_target_answer(no_target: NoTarget) -> Answer {
    match no_target {
        NoTarget::NoBreaker => Answer::error(StatusCode::NOT_FOUND, "no such breaker"),
        NoTarget::NoKeys => Answer::error(StatusCode::NOT_FOUND, "this keyed breaker has no keys yet"),
        NoTarget::TransitionsOfAllKeys => {
            Answer::error(StatusCode::BAD_REQUEST, "`expected_transitions` needs a `key` or `overflow` here")
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}
