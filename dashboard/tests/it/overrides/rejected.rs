//! Requests that are rejected and change nothing: credentials, other sites, wrong bodies.

use reqwest::StatusCode;
use serde_json::json;
use steadfast::{
    BreakerState::{Closed, ForcedOpen},
    CircuitBreaker,
};
use steadfast_dashboard::Token;

use super::{TENANTS, status_and_error, valid};
use crate::{CONFIG, Served, TOKEN, client, with_token};

#[test]
fn invalid_requests_are_rejected_and_change_nothing() {
    static GUARDED: CircuitBreaker = CircuitBreaker::new("guarded", CONFIG);
    steadfast::register!(GUARDED);
    let served = Served::new(&with_token());
    let body = json!({ "breaker": "guarded", "action": "force_open", "reason": "for a test" }).to_string();
    let request =
        || client().post(served.url("/api/overrides")).header("Content-Type", "application/json").body(body.clone());
    let bearer = format!("Bearer {TOKEN}");
    let signed = || request().header("Authorization", &bearer);
    for (case, request, expected) in [
        ("no token", request(), StatusCode::UNAUTHORIZED),
        ("an empty own header", request().header("X-Steadfast-Token", ""), StatusCode::UNAUTHORIZED),
        ("a wrong own header", request().header("X-Steadfast-Token", "a-token-of-the-testz"), StatusCode::UNAUTHORIZED),
        (
            "two wrong headers",
            request().header("X-Steadfast-Token", "wrong").header("Authorization", "Bearer wrong"),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "the own header from another origin",
            request().header("X-Steadfast-Token", TOKEN).header("Origin", "http://evil.example"),
            StatusCode::FORBIDDEN,
        ),
        (
            "the own header from another site",
            request().header("X-Steadfast-Token", TOKEN).header("Sec-Fetch-Site", "same-site"),
            StatusCode::FORBIDDEN,
        ),
        ("an empty token", request().header("Authorization", "Bearer "), StatusCode::UNAUTHORIZED),
        ("a wrong token", request().header("Authorization", "Bearer a-token-of-the-testz"), StatusCode::UNAUTHORIZED),
        (
            "a part of the token",
            request().header("Authorization", "Bearer a-token-of-the-test"),
            StatusCode::UNAUTHORIZED,
        ),
        ("another scheme", request().header("Authorization", format!("Basic {TOKEN}")), StatusCode::UNAUTHORIZED),
        ("the token in a cookie", request().header("Cookie", format!("token={TOKEN}")), StatusCode::UNAUTHORIZED),
        (
            "the token in the query",
            {
                client()
                    .post(served.url(&format!("/api/overrides?token={TOKEN}")))
                    .header("Content-Type", "application/json")
                    .body(body.clone())
            },
            StatusCode::UNAUTHORIZED,
        ),
        ("from another origin", signed().header("Origin", "http://evil.example"), StatusCode::FORBIDDEN),
        ("from a sandbox", signed().header("Origin", "null"), StatusCode::FORBIDDEN),
        ("from another port", signed().header("Origin", "http://127.0.0.1:1"), StatusCode::FORBIDDEN),
        ("from another site", signed().header("Sec-Fetch-Site", "cross-site"), StatusCode::FORBIDDEN),
        (
            "as a form",
            {
                client()
                    .post(served.url("/api/overrides"))
                    .header("Authorization", &bearer)
                    .header("Content-Type", "text/plain")
                    .body(body.clone())
            },
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "by GET",
            client().get(served.url("/api/overrides")).header("Authorization", &bearer),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            "by PUT",
            client().put(served.url("/api/overrides")).header("Authorization", &bearer),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        ("a body of a megabyte", signed().body("x".repeat(1 << 20)), StatusCode::PAYLOAD_TOO_LARGE),
        ("no JSON", signed().body("force_open"), StatusCode::BAD_REQUEST),
        ("deep JSON", signed().body("[".repeat(10_000)), StatusCode::BAD_REQUEST),
    ] {
        let response = request.send();
        // The server may close the connection before a body that is too large is sent completely.
        if let Ok(response) = response {
            assert_eq!(response.status(), expected, "{case}");
        } else {
            assert_eq!(expected, StatusCode::PAYLOAD_TOO_LARGE, "{case}");
        }
        assert_eq!(GUARDED.state(), Closed, "{case}");
    }
}

#[test]
fn invalid_bodies_are_rejected_and_change_nothing() {
    static UNCHANGED: CircuitBreaker = CircuitBreaker::new("unchanged", CONFIG);
    steadfast::register!(UNCHANGED);
    let served = Served::new(&with_token());
    let signed = || valid(&served);
    for (case, body, message) in [
        ("no reason", json!({ "breaker": "unchanged", "action": "force_open" }), "a `reason` is required"),
        (
            "a blank reason",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "  " }),
            "a `reason` is required",
        ),
        (
            "a reason of 201 characters",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "x".repeat(201) }),
            "longer than 200",
        ),
        (
            "a line break in the reason",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "a\nINFO b" }),
            "control characters",
        ),
        (
            "an expiry of zero",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "r", "expires_in": 0 }),
            "above zero",
        ),
        (
            "a negative expiry",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "r", "expires_in": -1 }),
            "above zero",
        ),
        (
            "an expiry beyond the range of a duration",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "r", "expires_in": 1e300 }),
            "above zero",
        ),
        (
            "a reset that expires",
            json!({ "breaker": "unchanged", "action": "reset", "expires_in": 60 }),
            "takes no `expires_in`",
        ),
        (
            "an expiry as text",
            json!({ "breaker": "unchanged", "action": "disable", "reason": "r", "expires_in": "15m" }),
            "invalid type: string",
        ),
        (
            "an operator of 65 characters",
            json!({ "breaker": "unchanged", "action": "reset", "operator": "x".repeat(65) }),
            "longer than 64",
        ),
        (
            "a line break in the operator",
            json!({ "breaker": "unchanged", "action": "reset", "operator": "ann\nINFO b" }),
            "control characters",
        ),
        (
            "a request id of 7 characters",
            json!({ "breaker": "unchanged", "action": "reset", "request_id": "1234567" }),
            "8 to 64 visible ASCII characters",
        ),
        (
            "a request id of 65 characters",
            json!({ "breaker": "unchanged", "action": "reset", "request_id": "x".repeat(65) }),
            "8 to 64 visible ASCII characters",
        ),
        (
            "a space in the request id",
            json!({ "breaker": "unchanged", "action": "reset", "request_id": "1234 5678" }),
            "8 to 64 visible ASCII characters",
        ),
        (
            "a negative number of transitions",
            json!({ "breaker": "unchanged", "action": "reset", "expected_transitions": -1 }),
            "invalid value: integer `-1`",
        ),
        ("no breaker", json!({ "action": "reset" }), "missing field `breaker`"),
        ("no action", json!({ "breaker": "unchanged" }), "missing field `action`"),
        (
            "a key and the overflow breaker",
            json!({ "breaker": "unchanged", "key": "a", "overflow": true, "action": "reset" }),
            "exclude each other",
        ),
        ("an unknown action", json!({ "breaker": "unchanged", "action": "explode", "reason": "r" }), "unknown variant"),
        ("an unknown field", json!({ "breaker": "unchanged", "action": "reset", "force": true }), "unknown field"),
    ] {
        let (status, error) = status_and_error(signed().body(body.to_string()).send().unwrap());
        assert_eq!(status, StatusCode::BAD_REQUEST, "{case}");
        assert!(error.contains(message), "{case}: {error}");
        assert_eq!(UNCHANGED.state(), Closed, "{case}");
    }
    let unknown = signed().body(json!({ "breaker": "unknown", "action": "reset" }).to_string()).send().unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let no_key =
        signed().body(json!({ "breaker": "overridden tenants", "key": "unknown", "action": "reset" }).to_string());
    assert_eq!(no_key.send().unwrap().status(), StatusCode::NOT_FOUND);
    assert!(TENANTS.get("unknown").is_none(), "the request creates no breaker");
}

#[test]
fn either_header_carries_the_token() {
    static BY_HEADER: CircuitBreaker = CircuitBreaker::new("overridden by header", CONFIG);
    steadfast::register!(BY_HEADER);
    let served = Served::new(&with_token());
    let body = json!({ "breaker": "overridden by header", "action": "reset" }).to_string();
    for headers in [
        &[("Authorization", "bearer a-token-of-the-tests")][..],
        &[("X-Steadfast-Token", TOKEN)],
        &[("X-Steadfast-Token", TOKEN), ("Authorization", "Basic b3BzOm9wcw==")],
        &[("X-Steadfast-Token", TOKEN), ("Authorization", "Bearer token-of-a-proxy")],
        &[("X-Steadfast-Token", "wrong"), ("Authorization", "Bearer a-token-of-the-tests")],
    ] {
        let request = client().post(served.url("/api/overrides")).header("Content-Type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        assert_eq!(request.body(body.clone()).send().unwrap().status(), StatusCode::OK, "{headers:?}");
    }
    let unknown = |headers: &[(&'static str, &str)]| {
        let request = client().post(served.url("/api/overrides")).header("Content-Type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.body(body.clone()).send().unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        status_and_error(response)
    };
    assert_eq!(unknown(&[]), (StatusCode::UNAUTHORIZED, "token required".into()));
    let wrong = (StatusCode::UNAUTHORIZED, "wrong token".into());
    assert_eq!(unknown(&[("X-Steadfast-Token", "wrong")]), wrong);
    assert_eq!(unknown(&[("Authorization", "Bearer wrong")]), wrong);
    assert_eq!(unknown(&[("X-Steadfast-Token", "wrong"), ("Authorization", "Bearer wrong")]), wrong);
}

#[test]
fn the_view_token_permits_no_override() {
    static VIEWED: CircuitBreaker = CircuitBreaker::new("viewed", CONFIG);
    steadfast::register!(VIEWED);
    let served = Served::new(&with_token().view_token(Token::new("a-token-of-viewers").unwrap()));
    let body = json!({ "breaker": "viewed", "action": "force_open", "reason": "a test" }).to_string();
    let send = |token: Option<&str>| {
        let request = client().post(served.url("/api/overrides")).header("Content-Type", "application/json");
        let request = token.into_iter().fold(request, |request, token| request.header("X-Steadfast-Token", token));
        status_and_error(request.body(body.clone()).send().unwrap())
    };
    assert_eq!(send(None), (StatusCode::UNAUTHORIZED, "token required".into()));
    assert_eq!(send(Some("wrong")), (StatusCode::UNAUTHORIZED, "wrong token".into()));
    let expected = (StatusCode::FORBIDDEN, "this token permits reading only".into());
    assert_eq!(send(Some("a-token-of-viewers")), expected);
    assert_eq!(VIEWED.state(), Closed);
    assert_eq!(send(Some(TOKEN)).0, StatusCode::OK);
    assert_eq!(VIEWED.state(), ForcedOpen);
}
