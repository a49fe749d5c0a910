//! Responses with a content type.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Returns a response with this body and content type.
pub(crate) fn with_content_type(media_type: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}

/// Returns a response with this JSON.
pub(crate) fn json(body: impl IntoResponse) -> Response {
    with_content_type("application/json", body)
}

/// Returns a response of the form `{"error": ...}`.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    (status, json(serde_json::json!({ "error": message }).to_string())).into_response()
}
