//! The JSON endpoint, and manual control.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, OriginalUri, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use steadfast::prometheus::SteadfastCollector;
use tokio::sync::Semaphore;

use crate::{
    guard,
    override_request::{OverrideRequest, RequestBody},
    snapshot::SnapshotCache,
    token::Token,
};

/// The maximum size of the body of an override in bytes. It is enough for the longest reason and a key.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The callback of [`Dashboard::on_override`](crate::Dashboard::on_override).
pub(crate) type OnOverride = Arc<dyn Fn(&OverrideRequest) + Send + Sync>;

/// The state shared by the handlers.
#[derive(Clone)]
pub(crate) struct AppState(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) token: Option<Token>,
    pub(crate) on_override: Option<OnOverride>,
    pub(crate) snapshots: SnapshotCache,
    /// The collector of `/metrics`.
    pub(crate) collector: SteadfastCollector,
    /// One permit for each page that may be open at the same time.
    pub(crate) streams: Arc<Semaphore>,
}

/// Returns every entry: `GET /api/breakers`.
pub(crate) async fn breakers(State(AppState(inner)): State<AppState>) -> Response {
    json(inner.snapshots.latest().by_section(inner.token.is_some()))
}

/// Applies an override: `POST /api/overrides`.
pub(crate) async fn override_breaker(
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
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, json(serde_json::json!({ "error": message }).to_string())).into_response()
}

fn json(body: String) -> Response {
    with_content_type("application/json", body)
}

pub(crate) fn with_content_type(media_type: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}
