//! Manual control over HTTP: applied overrides, the callback, keys.

mod operators;
mod rejected;
mod seen;

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
use steadfast_dashboard::{Dashboard, OverrideAction, OverrideRequest};

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
    let answer: Value = of_page.send().unwrap().json().unwrap();
    assert_eq!((&answer["state"], &answer["applied"]), (&json!("forced-open"), &json!(1)), "{answer}");
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
        assert_eq!(actions, [(ForceOpen, 1), (Disable, 1), (Reset, 1)]);
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
        assert_eq!(response.json::<Value>().unwrap()["state"], state);
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
    assert_eq!(listed, [(None, Some(true)), (Some("(overflow)"), Some(false))]);
}

/// Sends an override of `breaker`, with these additional fields, and returns the status and the JSON of the response.
fn send(served: &Served, breaker: &str, fields: Value) -> (StatusCode, Value) {
    let mut body = json!({ "breaker": breaker, "action": "force_open", "reason": "a test" });
    let Value::Object(fields) = fields else { panic!("not an object: {fields}") };
    body.as_object_mut().unwrap().extend(fields);
    let response = valid(served).body(body.to_string()).send().unwrap();
    (response.status(), response.json().unwrap())
}

/// A dashboard, and the requests that its callback has got.
fn reported() -> (Dashboard, Arc<Mutex<Vec<OverrideRequest>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let dashboard = with_token().on_override({
        let requests = requests.clone();
        move |request| requests.lock().unwrap().push(request.clone())
    });
    (dashboard, requests)
}

#[test]
fn the_callback_gets_the_operator_and_the_sender() {
    static AUDITED: CircuitBreaker = CircuitBreaker::new("audited", CONFIG);
    steadfast::register!(AUDITED);
    let (dashboard, requests) = reported();
    let fields = json!({ "operator": " ann ", "request_id": "id-of-the-request", "expected_transitions": 0 });
    let served = Served::new(&dashboard);
    assert_eq!(send(&served, "audited", fields.clone()).0, StatusCode::OK);
    let request = requests.lock().unwrap().pop().unwrap();
    assert_eq!(request.operator.as_deref(), Some("ann"));
    assert_eq!(request.request_id.as_deref(), Some("id-of-the-request"));
    assert_eq!(request.expected_transitions, Some(0));
    assert_eq!(request.expires_in, Some(Duration::from_mins(15)));
    assert_eq!(request.peer.unwrap().ip(), served.address.ip());
    assert!(!format!("{request:?}").contains(TOKEN));

    // Headers of proxies count only if the service says so.
    let forwarded = |dashboard: &Dashboard| {
        let served = Served::new(dashboard);
        let body = json!({ "breaker": "audited", "action": "reset", "operator": "ann" }).to_string();
        let headers = [("X-Forwarded-For", "203.0.113.1"), ("X-Forwarded-User", "bob")];
        let request = headers.iter().fold(valid(&served), |request, (name, value)| request.header(*name, *value));
        assert!(request.body(body).send().unwrap().status().is_success());
        let request = requests.lock().unwrap().pop().unwrap();
        (request.operator.unwrap(), request.peer.unwrap().ip().to_string())
    };
    assert_eq!(forwarded(&dashboard), ("ann".into(), "127.0.0.1".into()));
    let trusting =
        dashboard.operator(|request| request.headers.get("x-forwarded-user")?.to_str().ok().map(str::to_owned));
    assert_eq!(forwarded(&trusting), ("bob".into(), "127.0.0.1".into()));
}

#[test]
fn each_override_is_an_event_of_the_log() {
    static LOGGED: CircuitBreaker = CircuitBreaker::new("logged", CONFIG);
    steadfast::register!(LOGGED);
    static LOGGED_KEYS: KeyedBreakers = KeyedBreakers::new("logged keys", CONFIG);
    steadfast::register!(LOGGED_KEYS);
    let _keys = ["a b", "c"].map(|key| LOGGED_KEYS.breaker(key));
    let served = Served::new(&with_token());
    let mut numbers = Vec::new();
    for (breaker, fields, status) in [
        (
            "logged",
            json!({ "operator": "ann <b>", "expires_in": 60, "request_id": "a-logged-request" }),
            StatusCode::OK,
        ),
        // Neither a repeated request nor one without an effect is an event.
        (
            "logged",
            json!({ "operator": "ann <b>", "expires_in": 60, "request_id": "a-logged-request" }),
            StatusCode::OK,
        ),
        ("not a breaker", json!({}), StatusCode::NOT_FOUND),
        ("logged", json!({ "expected_transitions": 9 }), StatusCode::CONFLICT),
        ("logged", json!({ "action": "reset", "reason": null }), StatusCode::OK),
        ("logged keys", json!({ "key": "a b", "action": "disable", "expires_in": null }), StatusCode::OK),
        ("logged keys", json!({ "operator": "bob" }), StatusCode::OK),
    ] {
        let (answered, answer) = send(&served, breaker, fields);
        assert_eq!(answered, status, "{answer}");
        numbers.extend(answer["n"].as_u64());
    }
    let text = client().get(served.url("/api/events")).send().unwrap().text().unwrap();
    assert!(!text.contains(TOKEN));
    let events: Value = serde_json::from_str(&text).unwrap();
    let of_overrides = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "override");
    let fields = ["id", "name", "key", "from", "to", "reason", "operator", "action"];
    let shown: Vec<_> = of_overrides.clone().map(|event| fields.map(|field| event[field].clone())).collect();
    assert_eq!(
        json!(shown),
        json!([
            ["breaker logged", "logged", null, "closed", "forced-open", "a test", "ann <b>", "force_open"],
            ["breaker logged", "logged", null, "forced-open", "closed", null, null, "reset"],
            ["key 11 logged keys a b", "logged keys", "a b", "closed", "disabled", "a test", null, "disable"],
            ["group logged keys", "logged keys", null, null, "forced-open", "a test", "bob", "force_open"],
        ])
    );
    let listed: Vec<_> = of_overrides.clone().map(|event| event["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [vec![listed[0]], listed.clone()].concat(), "the numbers of the answers");
    let expiries: Vec<_> = of_overrides.map(|event| event["expires_at"].is_f64()).collect();
    assert_eq!(expiries, [true, false, false, true]);
}
