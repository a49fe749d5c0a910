//! Manual control over HTTP: rejected requests, applied overrides, the callback, keys.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{
    StatusCode,
    blocking::{RequestBuilder, Response},
};
use serde_json::{Value, json};
use steadfast::{
    BreakerState::{Closed, Disabled, ForcedOpen},
    CircuitBreaker, KeyedBreakers,
    events::{self, Event},
};
use steadfast_dashboard::{Dashboard, OverrideAction};

use crate::{CONFIG, Served, TOKEN, client, with_token};

static TARGET: CircuitBreaker = CircuitBreaker::new("target", CONFIG);
steadfast::register!(TARGET);
static TENANTS: KeyedBreakers = KeyedBreakers::new("overridden tenants", CONFIG);
steadfast::register!(TENANTS);

/// Returns a valid request, which forces "target" open.
fn valid(served: &Served) -> RequestBuilder {
    client()
        .post(served.url("/api/overrides"))
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Content-Type", "application/json")
        .body(json!({ "breaker": "target", "action": "force_open", "reason": "for a test" }).to_string())
}

fn status_and_error(response: Response) -> (StatusCode, String) {
    let status = response.status();
    (status, response.json::<Value>().unwrap()["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_dashboard_without_a_token_is_read_only() {
    let served = Served::new(&Dashboard::new());
    let response = valid(&served).send().unwrap();
    assert_eq!(status_and_error(response), (StatusCode::FORBIDDEN, "read-only: no token is configured".into()));
    let body: Value = client().get(served.url("/api/breakers")).send().unwrap().json().unwrap();
    assert_eq!(body["can_override"], false);
}

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
fn an_override_is_applied_and_reported() {
    let (requests, changes) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let _subscription = events::subscribe({
        let changes = changes.clone();
        move |event| {
            if matches!(event, Event::StateChanged { breaker: "target", .. }) {
                changes.lock().unwrap().push(event.to_string());
            }
        }
    });
    let dashboard = with_token().on_override({
        let requests = requests.clone();
        move |request| requests.lock().unwrap().push(request.clone())
    });
    let served = Served::new(&dashboard);
    // The headers that a browser adds to a request of the page.
    let of_page = valid(&served).header("Origin", served.url("")).header("Sec-Fetch-Site", "same-origin");
    assert_eq!(of_page.send().unwrap().json::<Value>().unwrap(), json!({ "state": "forced-open" }));
    assert_eq!(TARGET.state(), ForcedOpen);
    let body = json!({ "breaker": "target", "action": "disable", "reason": "for a test", "expires_in": 60 });
    assert!(valid(&served).body(body.to_string()).send().unwrap().status().is_success());
    assert_eq!(TARGET.state(), Disabled);
    assert!(TARGET.snapshot().disabled_for.unwrap() <= Duration::from_mins(1));
    assert!(
        valid(&served)
            .body(json!({ "breaker": "target", "action": "reset" }).to_string())
            .send()
            .unwrap()
            .status()
            .is_success()
    );
    assert_eq!(
        *changes.lock().unwrap(),
        [
            "circuit `target`: closed -> forced-open (for a test)",
            "circuit `target`: forced-open -> disabled (for a test)",
            "circuit `target`: disabled -> closed",
        ]
    );
    {
        use OverrideAction::{Disable, ForceOpen, Reset};
        let requests = requests.lock().unwrap();
        let actions: Vec<_> = requests.iter().map(|request| (request.action, request.applied)).collect();
        assert_eq!(actions, [(ForceOpen, true), (Disable, true), (Reset, true)]);
        assert_eq!(requests[1].expires_in, Some(Duration::from_mins(1)));
    }

    let of_key = TENANTS.breaker("acme");
    let body =
        json!({ "breaker": "overridden tenants", "key": "acme", "action": "force_open", "reason": "one tenant" });
    assert!(valid(&served).body(body.to_string()).send().unwrap().status().is_success());
    assert_eq!(of_key.state(), ForcedOpen);
}

/// A value whose destructor panics.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("in the destructor of a payload");
    }
}

#[test]
fn a_panic_of_the_callback_does_not_affect_the_response() {
    static OVERRIDDEN: CircuitBreaker = CircuitBreaker::new("overridden with a panic", CONFIG);
    steadfast::register!(OVERRIDDEN);
    let served = Served::new(&with_token().on_override(|_| std::panic::panic_any(PanicsOnDrop)));
    for (action, state) in [("force_open", "forced-open"), ("disable", "disabled")] {
        let body = json!({ "breaker": "overridden with a panic", "action": action, "reason": "a test" });
        let response = valid(&served).body(body.to_string()).send().unwrap();
        assert_eq!(response.json::<Value>().unwrap(), json!({ "state": state }));
    }
    assert_eq!(OVERRIDDEN.state(), Disabled);
}

#[test]
fn the_overflow_breaker_is_addressed_by_a_flag() {
    static SHARDS: KeyedBreakers = KeyedBreakers::new("overridden shards", CONFIG).max_keys(1);
    steadfast::register!(SHARDS);
    let served = Served::new(&with_token());
    let force_open = |target: Value| {
        let mut body = json!({ "breaker": "overridden shards", "action": "force_open", "reason": "a test" });
        body.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
        valid(&served).body(body.to_string()).send().unwrap().status()
    };
    assert_eq!(force_open(json!({ "overflow": true })), StatusCode::NOT_FOUND);
    SHARDS.breaker("(overflow)").disable();
    let overflow = SHARDS.breaker("another");
    assert_eq!(force_open(json!({ "overflow": true, "key": "another" })), StatusCode::BAD_REQUEST);
    for key in ["another", "all other keys", ""] {
        assert_eq!(force_open(json!({ "key": key })), StatusCode::NOT_FOUND, "{key}");
    }
    assert_eq!(overflow.state(), Closed);
    assert_eq!(force_open(json!({ "overflow": true })), StatusCode::OK);
    assert_eq!((overflow.state(), SHARDS.breaker("(overflow)").state()), (ForcedOpen, Disabled));
    assert_eq!(force_open(json!({ "key": "(overflow)" })), StatusCode::OK);
    assert_eq!(SHARDS.breaker("(overflow)").state(), ForcedOpen);

    let body: Value = client().get(served.url("/api/breakers")).send().unwrap().json().unwrap();
    let keys = body["keys"].as_array().unwrap().iter().filter(|key| key["name"] == "overridden shards");
    let mut listed: Vec<_> = keys.map(|key| (key["key"].as_str(), key["overflow"].as_bool())).collect();
    listed.sort_unstable();
    assert_eq!(listed, [(None, Some(true)), (Some("(overflow)"), None)]);
}
