//! What somebody tries who must not act, or not even see.

use reqwest::{
    Method, StatusCode,
    blocking::{Client, RequestBuilder, Response},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};
use steadfast::{
    BreakerState::{Closed, Disabled, ForcedOpen},
    CircuitBreaker, KeyedBreakers,
    events::{self, Event},
};
use steadfast_dashboard::{ActionKind, Dashboard};

use crate::{CONFIG, Served, TOKEN, comes, with_token};

static TARGET: CircuitBreaker = CircuitBreaker::new("target", CONFIG);
steadfast::register!(TARGET);
static TENANTS: KeyedBreakers = KeyedBreakers::new("acted-on tenants", CONFIG);
steadfast::register!(TENANTS);

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// A request that is right in all respects.
fn right(served: &Served) -> RequestBuilder {
    client()
        .post(served.url("/api/actions"))
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Content-Type", "application/json")
        .body(json!({ "breaker": "target", "action": "force_open", "reason": "an attack" }).to_string())
}

fn answer(response: Response) -> (StatusCode, String) {
    let status = response.status();
    (status, response.json::<Value>().unwrap()["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn without_a_token_configured_nobody_acts() {
    let served = Served::new(&Dashboard::new());
    let response = right(&served).send().unwrap();
    assert_eq!(answer(response), (StatusCode::FORBIDDEN, "read-only: no token is configured".into()));
    let seen: Value = client().get(served.url("/api/breakers")).send().unwrap().json().unwrap();
    assert_eq!(seen["can_act"], false);
}

#[test]
fn each_wrong_request_is_refused_and_changes_nothing() {
    static GUARDED: CircuitBreaker = CircuitBreaker::new("guarded", CONFIG);
    steadfast::register!(GUARDED);
    let served = Served::new(&with_token());
    let body = json!({ "breaker": "guarded", "action": "force_open", "reason": "an attack" }).to_string();
    let request =
        || client().post(served.url("/api/actions")).header("Content-Type", "application/json").body(body.clone());
    let bearer = format!("Bearer {TOKEN}");
    let signed = || request().header("Authorization", &bearer);
    for (attack, request, expected) in [
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
                    .post(served.url(&format!("/api/actions?token={TOKEN}")))
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
                    .post(served.url("/api/actions"))
                    .header("Authorization", &bearer)
                    .header("Content-Type", "text/plain")
                    .body(body.clone())
            },
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "by GET",
            client().get(served.url("/api/actions")).header("Authorization", &bearer),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            "by PUT",
            client().put(served.url("/api/actions")).header("Authorization", &bearer),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        ("a body of a megabyte", signed().body("x".repeat(1 << 20)), StatusCode::PAYLOAD_TOO_LARGE),
        ("no JSON", signed().body("force_open"), StatusCode::BAD_REQUEST),
        ("deep JSON", signed().body("[".repeat(10_000)), StatusCode::BAD_REQUEST),
    ] {
        let response = request.send();
        // The server may hang up on a body that is too long before it is sent.
        if let Ok(response) = response {
            assert_eq!(response.status(), expected, "{attack}");
        } else {
            assert_eq!(expected, StatusCode::PAYLOAD_TOO_LARGE, "{attack}");
        }
        assert_eq!(GUARDED.state(), Closed, "{attack}");
    }
}

#[test]
fn each_wrong_body_is_refused_and_changes_nothing() {
    static SPARED: CircuitBreaker = CircuitBreaker::new("spared", CONFIG);
    steadfast::register!(SPARED);
    let served = Served::new(&with_token());
    let signed = || right(&served);
    for (mistake, body, said) in [
        ("no reason", json!({ "breaker": "spared", "action": "force_open" }), "a `reason` is needed"),
        ("a blank reason", json!({ "breaker": "spared", "action": "disable", "reason": "  " }), "a `reason` is needed"),
        ("a novel", json!({ "breaker": "spared", "action": "disable", "reason": "x".repeat(201) }), "longer than 200"),
        (
            "a second line for the log",
            json!({ "breaker": "spared", "action": "disable", "reason": "a\nINFO b" }),
            "control characters",
        ),
        (
            "no time at all",
            json!({ "breaker": "spared", "action": "disable", "reason": "r", "expires_in": 0 }),
            "above zero",
        ),
        (
            "negative time",
            json!({ "breaker": "spared", "action": "disable", "reason": "r", "expires_in": -1 }),
            "above zero",
        ),
        (
            "endless time",
            json!({ "breaker": "spared", "action": "disable", "reason": "r", "expires_in": 1e300 }),
            "above zero",
        ),
        ("a reset that expires", json!({ "breaker": "spared", "action": "reset", "expires_in": 60 }), "means nothing"),
        ("another action", json!({ "breaker": "spared", "action": "explode", "reason": "r" }), "unknown variant"),
        ("another field", json!({ "breaker": "spared", "action": "reset", "force": true }), "unknown field"),
    ] {
        let (status, error) = answer(signed().body(body.to_string()).send().unwrap());
        assert_eq!(status, StatusCode::BAD_REQUEST, "{mistake}");
        assert!(error.contains(said), "{mistake}: {error}");
        assert_eq!(SPARED.state(), Closed, "{mistake}");
    }
    let unknown = signed().body(json!({ "breaker": "nobody", "action": "reset" }).to_string()).send().unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let no_key =
        signed().body(json!({ "breaker": "acted-on tenants", "key": "nobody", "action": "reset" }).to_string());
    assert_eq!(no_key.send().unwrap().status(), StatusCode::NOT_FOUND);
    assert!(TENANTS.get("nobody").is_none(), "and makes none");
}

#[test]
fn who_has_the_token_acts_and_it_is_told() {
    let (told, heard) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let _subscription = events::subscribe({
        let heard = heard.clone();
        move |event| {
            if matches!(event, Event::StateChanged { breaker: "target", .. }) {
                heard.lock().unwrap().push(event.to_string());
            }
        }
    });
    let dashboard = with_token().on_action({
        let told = told.clone();
        move |action| told.lock().unwrap().push(action.clone())
    });
    let served = Served::new(&dashboard);
    // As the page itself sends it.
    let own = right(&served).header("Origin", served.url("")).header("Sec-Fetch-Site", "same-origin");
    assert_eq!(own.send().unwrap().json::<Value>().unwrap(), json!({ "state": "forced-open" }));
    assert_eq!(TARGET.state(), ForcedOpen);
    let body = json!({ "breaker": "target", "action": "disable", "reason": "for a test", "expires_in": 60 });
    assert!(right(&served).body(body.to_string()).send().unwrap().status().is_success());
    assert_eq!(TARGET.state(), Disabled);
    assert!(TARGET.snapshot().disabled_for.unwrap() <= Duration::from_mins(1));
    assert!(
        right(&served)
            .body(json!({ "breaker": "target", "action": "reset" }).to_string())
            .send()
            .unwrap()
            .status()
            .is_success()
    );
    assert_eq!(
        *heard.lock().unwrap(),
        [
            "circuit `target`: closed -> forced-open (an attack)",
            "circuit `target`: forced-open -> disabled (for a test)",
            "circuit `target`: disabled -> closed",
        ]
    );
    {
        let told = told.lock().unwrap();
        let kinds: Vec<_> = told.iter().map(|action| (action.kind, action.done)).collect();
        assert_eq!(kinds, [(ActionKind::ForceOpen, true), (ActionKind::Disable, true), (ActionKind::Reset, true)]);
        assert_eq!(told[1].expires_in, Some(Duration::from_mins(1)));
    }

    let of_key = TENANTS.breaker("acme");
    let body = json!({ "breaker": "acted-on tenants", "key": "acme", "action": "force_open", "reason": "one tenant" });
    assert!(right(&served).body(body.to_string()).send().unwrap().status().is_success());
    assert_eq!(of_key.state(), ForcedOpen);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that is dropped");
    }
}

#[test]
fn an_operator_is_answered_though_the_callback_panics() {
    static ACTED_ON: CircuitBreaker = CircuitBreaker::new("acted on by a panic", CONFIG);
    steadfast::register!(ACTED_ON);
    let served = Served::new(&with_token().on_action(|_| std::panic::panic_any(Bomb)));
    for (action, state) in [("force_open", "forced-open"), ("disable", "disabled")] {
        let body = json!({ "breaker": "acted on by a panic", "action": action, "reason": "a test" });
        let response = right(&served).body(body.to_string()).send().unwrap();
        assert_eq!(response.json::<Value>().unwrap(), json!({ "state": state }));
    }
    assert_eq!(ACTED_ON.state(), Disabled);
}

#[test]
fn the_overflow_is_named_by_a_flag_and_by_no_key() {
    static CROWD: KeyedBreakers = KeyedBreakers::new("acted-on crowd", CONFIG).max_keys(1);
    steadfast::register!(CROWD);
    let served = Served::new(&with_token());
    let act = |whose: Value| {
        let mut body = json!({ "breaker": "acted-on crowd", "action": "force_open", "reason": "a test" });
        body.as_object_mut().unwrap().extend(whose.as_object().unwrap().clone());
        right(&served).body(body.to_string()).send().unwrap().status()
    };
    assert_eq!(act(json!({ "overflow": true })), StatusCode::NOT_FOUND);
    CROWD.breaker("(overflow)").disable();
    let overflow = CROWD.breaker("newcomer");
    assert_eq!(act(json!({ "overflow": true, "key": "newcomer" })), StatusCode::BAD_REQUEST);
    for key in ["newcomer", "all other keys", ""] {
        assert_eq!(act(json!({ "key": key })), StatusCode::NOT_FOUND, "{key}");
    }
    assert_eq!(overflow.state(), Closed);
    assert_eq!(act(json!({ "overflow": true })), StatusCode::OK);
    assert_eq!((overflow.state(), CROWD.breaker("(overflow)").state()), (ForcedOpen, Disabled));
    assert_eq!(act(json!({ "key": "(overflow)" })), StatusCode::OK);
    assert_eq!(CROWD.breaker("(overflow)").state(), ForcedOpen);

    let seen: Value = client().get(served.url("/api/breakers")).send().unwrap().json().unwrap();
    let keys = seen["keys"].as_array().unwrap().iter().filter(|key| key["name"] == "acted-on crowd");
    let mut shown: Vec<_> = keys.map(|key| (key["key"].as_str(), key["overflow"].as_bool())).collect();
    shown.sort_unstable();
    assert_eq!(shown, [(None, Some(true)), (Some("(overflow)"), None)]);
}

#[test]
fn every_answer_carries_the_headers_that_keep_others_out() {
    let served = Served::new(&Dashboard::new());
    for path in
        ["/", "/style.css", "/js/app.js", "/icon.svg", "/api/breakers", "/metrics", "/js/nothing.js", "/nothing"]
    {
        let response = client().get(served.url(path)).send().unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        // What the router does not know it does not answer for, where it is part of a service.
        if path == "/nothing" {
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            continue;
        }
        let policy = header("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options").as_deref(), Some("DENY"), "{path}");
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"), "{path}");
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(header("set-cookie"), None, "{path}");
        assert_eq!(header("access-control-allow-origin"), None, "{path}");
    }
    let preflight = client()
        .request(Method::OPTIONS, served.url("/api/actions"))
        .header("Origin", "http://evil.example")
        .header("Access-Control-Request-Method", "POST");
    assert_eq!(preflight.send().unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn a_frame_of_the_same_origin_is_for_those_who_ask_for_it() {
    let served = Served::new(&Dashboard::new().embeddable());
    let response = client().get(served.url("/")).send().unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'self'") && policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(response.headers()["x-frame-options"], "SAMEORIGIN");
}

/// What the server answers to a request that names this host, status line and all.
fn with_host(served: &Served, host: &str) -> String {
    let mut stream = TcpStream::connect(served.address).unwrap();
    write!(stream, "GET /api/breakers HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_foreign_name_for_this_machine_sees_nothing() {
    let served = Served::new(&Dashboard::new());
    let port = served.address.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        assert!(with_host(&served, &format!("{host}:{port}")).starts_with("HTTP/1.1 200"), "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "0.0.0.0"] {
        let answer = with_host(&served, &format!("{host}:{port}"));
        assert!(answer.starts_with("HTTP/1.1 421"), "{host}: {answer}");
        assert!(!answer.contains("target"), "{host}");
    }
    let chosen = Served::new(&Dashboard::new().hosts(["ops.example.org"]));
    assert!(with_host(&chosen, "ops.example.org").starts_with("HTTP/1.1 200"));
    assert!(with_host(&chosen, "127.0.0.1").starts_with("HTTP/1.1 421"));
}

#[tokio::test]
async fn other_machines_are_let_in_only_on_request() {
    let error = Dashboard::new().bind("0.0.0.0:0").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("allow_remote"), "{error}");
    Dashboard::new()
        .bind("[::1]:0")
        .await
        .map(drop)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AddrNotAvailable => Ok(()), // a machine without IPv6
            _ => Err(error),
        })
        .unwrap();
}

#[test]
fn only_so_many_pages_are_kept_up_to_date() {
    let served = Served::new(&Dashboard::new());
    let open = || client().get(served.url("/api/live")).send().unwrap();
    let mut pages: Vec<_> = (0..64).map(|_| open()).collect();
    assert!(pages.iter().all(|page| page.status().is_success()));
    assert_eq!(open().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(client().get(served.url("/api/breakers")).send().unwrap().status().is_success(), "the rest goes on");
    // A place is free again once the server has noticed; it writes to each page several times a minute.
    pages.pop();
    comes(|| open().status().is_success().then_some(()));
}
