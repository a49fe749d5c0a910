//! The Prometheus endpoint: `GET /metrics`, in the text format of Prometheus or in that of OpenMetrics.

use std::fmt;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};
use steadfast::prometheus::SteadfastCollector;
use tokio::task::spawn_blocking;

use crate::{responses::with_content_type, state::AppState};

/// Returns the metrics in the format that the client prefers. They are read on a thread for blocking work: with thousands of breakers, that
/// takes longer than a worker of the application may be held.
pub(crate) async fn metrics(State(AppState(inner)): State<AppState>, headers: HeaderMap) -> Response {
    let is_open_metrics = prefers_open_metrics(&headers);
    let collector = inner.collector;
    match spawn_blocking(move || encode(collector, is_open_metrics)).await {
        Ok(Ok(body)) if is_open_metrics => {
            with_content_type("application/openmetrics-text; version=1.0.0; charset=utf-8", body)
        }
        Ok(Ok(body)) => with_content_type(prometheus_text::CONTENT_TYPE, body),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn encode(collector: SteadfastCollector, is_open_metrics: bool) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut body = String::new();
    let encode = if is_open_metrics { text::encode } else { prometheus_text::encode };
    encode(&mut body, &registry)?;
    Ok(body)
}

/// Returns true if the client accepts OpenMetrics 1.0.0, and prefers it to the text format or accepts both equally. A wildcard is a request
/// for the text format, which every client of Prometheus reads.
fn prefers_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let (mut open_metrics, mut text) = (0, None);
    for range in accepted.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let (mut quality, mut version) = (1_000, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                quality = parse_quality(value);
            } else if name.eq_ignore_ascii_case("version") {
                version = Some(value);
            }
        }
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            if matches!(version, None | Some("1.0.0")) {
                open_metrics = quality.max(open_metrics);
            }
        } else if media_type.eq_ignore_ascii_case("text/plain") && matches!(version, None | Some("0.0.4")) {
            text = text.max(Some(quality));
        }
    }
    open_metrics > 0 && open_metrics >= text.unwrap_or(0)
}

/// Parses a quality in `0.0..=1.0`. An invalid one counts as 0, so that its range is not used.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=1000")]
fn parse_quality(quality: &str) -> u16 {
    match quality.parse::<f64>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1_000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_accept_header_decides_the_format() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("text/html, */*;q=0.8", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=1.0.0", true),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", true),
            ("application/openmetrics-text; version=0.0.1", false),
            ("application/openmetrics-text; version=2.0.0", false),
            // Prometheus 2.42 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.4,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                true,
            ),
            ("text/plain, application/openmetrics-text;q=0.9", false),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.5", true),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=7, text/plain", false),
            ("application/openmetrics-text;q=", false),
            (";;,=,;q=1,,", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_open_metrics(&headers), expected, "{accept}");
        }
        assert!(!prefers_open_metrics(&HeaderMap::new()), "no header");
        let headers = HeaderMap::from_iter(
            ["text/plain;q=0.3", "application/openmetrics-text"]
                .map(|value| (header::ACCEPT, HeaderValue::from_static(value))),
        );
        assert!(prefers_open_metrics(&headers), "two headers");
    }
}
