//! Protection against other sites (security headers, host check, origin check) and against readers without permission, and the timeout
//! and the handling of panics that apply to every request.

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

use crate::{
    access::{Access, Denial},
    responses,
};

/// The content security policy, for the given `frame-ancestors`.
macro_rules! content_security_policy {
    ($ancestors:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; ",
            "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors ",
            $ancestors
        )
    };
}

const FRAMES_DENIED: [(HeaderName, &str); 2] =
    [(header::CONTENT_SECURITY_POLICY, content_security_policy!("'none'")), (header::X_FRAME_OPTIONS, "DENY")];
const FRAMES_OF_SAME_ORIGIN: [(HeaderName, &str); 2] =
    [(header::CONTENT_SECURITY_POLICY, content_security_policy!("'self'")), (header::X_FRAME_OPTIONS, "SAMEORIGIN")];
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Adds the security headers to a response.
pub(crate) async fn add_security_headers(State(embeddable): State<bool>, mut response: Response) -> Response {
    let frames = if embeddable { FRAMES_OF_SAME_ORIGIN } else { FRAMES_DENIED };
    for (name, value) in SECURITY_HEADERS.into_iter().chain(frames) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The maximum time until a response begins. It includes the time in which the client sends the body of its request.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Responds with 408 after [`RESPONSE_TIMEOUT`], and with 500 if the application's code (a callback, a `Debug` impl) panics.
pub(crate) async fn limit_time_and_catch_panics(request: Request, next: Next) -> Response {
    // A runtime without timers makes the timeout panic.
    let response = async { time::timeout(RESPONSE_TIMEOUT, next.run(request)).await };
    match AssertUnwindSafe(response).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(payload) => {
            drop_payload(payload);
            responses::error(StatusCode::INTERNAL_SERVER_ERROR, "a panic: see the standard error of the program")
        }
        Ok(Err(_)) => {
            let response = responses::error(StatusCode::REQUEST_TIMEOUT, "no answer within 10 s");
            ([(header::CONNECTION, "close")], response).into_response()
        }
    }
}

/// Responds with 405 to a method that a path does not have. The router adds the header `Allow`.
pub(crate) async fn method_not_allowed() -> Response {
    responses::error(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method")
}

/// Calls a callback and discards its panic.
pub(crate) fn catch_panic(callback: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
        drop_payload(payload);
    }
}

/// Drops the payload of a panic. If its destructor panics as well, that second payload is leaked.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
}

/// The host names that requests may be sent to; `None` allows every host name.
pub(crate) type AllowedHosts = Option<Arc<[String]>>;

/// Rejects a request that was sent to a host name that is not allowed, with 421. This prevents DNS rebinding: another site could make its
/// own name resolve to this machine, and the browser would treat the site and the dashboard as one origin.
pub(crate) async fn check_host(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    let host = authority(request.headers(), request.uri()).map(without_port);
    match allowed {
        Some(allowed) if !host.is_some_and(|host| allowed.iter().any(|name| name.eq_ignore_ascii_case(host))) => {
            responses::error(StatusCode::MISDIRECTED_REQUEST, "this host name is not allowed")
        }
        _ => next.run(request).await,
    }
}

/// Rejects a request that may not read.
pub(crate) async fn check_viewer(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match access.check_view(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(denial) => denied(denial),
    }
}

/// Returns the response to a request that is rejected.
pub(crate) fn denied(denial: Denial) -> Response {
    let mut response = responses::error(denial.status(), denial.message());
    if denial.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Returns false if the browser's headers show that the request comes from another origin. A request without these headers passes:
/// only browsers send them.
///
/// `Sec-Fetch-Site` decides if it is present: no page can set it, and it stays right behind a proxy that replaces `Host`. Browsers send it
/// to HTTPS and loopback addresses only. Otherwise, `Origin` is compared with `Host`.
pub(crate) fn is_same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let own = authority(headers, uri);
    origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https") && own.is_some_and(|own| own.eq_ignore_ascii_case(authority))
    })
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
    fn requests_from_another_origin_are_recognised() {
        let uri = Uri::from_static("/api/overrides");
        for (pairs, same) in [
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
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "none")], false),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "backend:80"), ("origin", "https://ops.example.org"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "backend:80"), ("origin", "https://ops.example.org")], false),
            (
                &[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "cross-site")],
                false,
            ),
            (&[("origin", "http://127.0.0.1:9090")], false),
        ] {
            assert_eq!(is_same_origin(&headers(pairs), &uri), same, "{pairs:?}");
        }
    }

    #[test]
    fn a_port_is_removed_from_an_authority() {
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
