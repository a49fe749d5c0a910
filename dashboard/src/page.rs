//! The files of the page, embedded in the binary.

use axum::{
    extract::{OriginalUri, Path},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::api::with_content_type;

const INDEX: &str = include_str!("../page/index.html");
const STYLE: &str = include_str!("../page/style.css");
const THEME: &str = include_str!("../page/theme.css");
const ICON: &str = include_str!("../page/icon.svg");
const SCRIPTS: [(&str, &str); 8] = [
    ("app.js", include_str!("../page/js/app.js")),
    ("card.js", include_str!("../page/js/card.js")),
    ("details.js", include_str!("../page/js/details.js")),
    ("format.js", include_str!("../page/js/format.js")),
    ("limits.js", include_str!("../page/js/limits.js")),
    ("live.js", include_str!("../page/js/live.js")),
    ("retry.js", include_str!("../page/js/retry.js")),
    ("timeline.js", include_str!("../page/js/timeline.js")),
];

/// Returns the page, with links relative to the path at which the router is mounted.
pub(crate) async fn index(OriginalUri(uri): OriginalUri) -> Response {
    let base = match uri.path().rsplit_once('/') {
        Some((_, "")) | None => String::new(),
        Some((_, last)) => escape(last) + "/",
    };
    with_content_type("text/html; charset=utf-8", INDEX.replace("{base}", &format!("./{base}")))
}

pub(crate) async fn style() -> Response {
    with_content_type("text/css; charset=utf-8", STYLE)
}

pub(crate) async fn theme() -> Response {
    with_content_type("text/css; charset=utf-8", THEME)
}

pub(crate) async fn icon() -> Response {
    with_content_type("image/svg+xml", ICON)
}

pub(crate) async fn script(Path(file): Path<String>) -> Response {
    match SCRIPTS.iter().find(|(name, _)| *name == file) {
        Some((_, script)) => with_content_type("text/javascript; charset=utf-8", *script),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Escapes a segment of a path for a quoted HTML attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;")
}
