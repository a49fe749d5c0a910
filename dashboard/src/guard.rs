//! What keeps foreign pages out: the headers of each answer, and what a request must bring; and that there is an answer.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tokio::time;

/// What the page may do, up to who may put it into a frame.
macro_rules! policy {
    ($ancestors:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; ",
            "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors ",
            $ancestors
        )
    };
}

const FRAMED_BY_NOBODY: [(HeaderName, &str); 2] =
    [(header::CONTENT_SECURITY_POLICY, policy!("'none'")), (header::X_FRAME_OPTIONS, "DENY")];
const FRAMED_BY_ITS_OWN: [(HeaderName, &str); 2] =
    [(header::CONTENT_SECURITY_POLICY, policy!("'self'")), (header::X_FRAME_OPTIONS, "SAMEORIGIN")];
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Puts the headers on an answer.
pub(crate) async fn protect(State(embeddable): State<bool>, mut response: Response) -> Response {
    let framed = if embeddable { FRAMED_BY_ITS_OWN } else { FRAMED_BY_NOBODY };
    for (name, value) in HEADERS.into_iter().chain(framed) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Longest time until an answer begins, and so for a client to send the body of its request.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Answers a request whose body does not come, and one on which a panic of somebody's code (a callback, a `Debug`) has put an end.
pub(crate) async fn answer_in_any_case(request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
    match time::timeout(ANSWERED_WITHIN, answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(payload)) => {
            let_go(payload);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => (StatusCode::REQUEST_TIMEOUT, [(header::CONNECTION, "close")]).into_response(),
    }
}

/// Calls a callback, and lets no panic out.
pub(crate) fn contain(callback: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
        let_go(payload);
    }
}

/// Drops the payload of a panic, whose destructor may panic with another.
fn let_go(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}

/// Hosts that requests may name; any if `None`.
pub(crate) type Hosts = Option<Arc<[String]>>;

/// Refuses a request that was sent to another name: a foreign page could have let its own name resolve to this machine, and the
/// browser would take both for one site (DNS rebinding).
pub(crate) async fn check_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let named = authority(request.headers(), request.uri()).map(without_port);
    match hosts {
        Some(hosts) if !named.is_some_and(|named| hosts.iter().any(|host| host.eq_ignore_ascii_case(named))) => {
            (StatusCode::MISDIRECTED_REQUEST, "this is not a host of the dashboard\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// Whether the request may come from the page itself, as far as the browser says. What is no browser says nothing.
pub(crate) fn is_own_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    let own = authority(headers, uri);
    let origin = match headers.get(header::ORIGIN) {
        None => true,
        Some(origin) => {
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(scheme, authority)| {
                matches!(scheme, "http" | "https") && own.is_some_and(|own| own.eq_ignore_ascii_case(authority))
            })
        }
    };
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    origin && site
}

fn authority<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn origins() {
        let uri = Uri::from_static("/api/actions");
        for (pairs, own) in [
            (&[("host", "127.0.0.1:9090")][..], true),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090")], true),
            (&[("host", "ops.example.org"), ("origin", "https://ops.example.org")], true),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9091")], false),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://evil.example")], false),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090.evil.example")], false),
            (&[("host", "127.0.0.1:9090"), ("origin", "null")], false),
            (&[("host", "127.0.0.1:9090"), ("origin", "file://127.0.0.1:9090")], false),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-origin")], true),
            (&[("origin", "http://127.0.0.1:9090")], false),
        ] {
            assert_eq!(is_own_origin(&headers(pairs), &uri), own, "{pairs:?}");
        }
    }

    #[test]
    fn ports() {
        for (authority, host) in [
            ("localhost", "localhost"),
            ("localhost:80", "localhost"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            (":80", ":80"),
            ("evil.example:x", "evil.example:x"),
        ] {
            assert_eq!(without_port(authority), host);
        }
    }
}
