//! Overrides that an operator has not seen: `last_override` of breakers, keys and groups, and `expected_override` of requests.

use reqwest::StatusCode;
use serde_json::{Value, json};
use steadfast::{
    BreakerState::{Disabled, ForcedOpen},
    CircuitBreaker, KeyedBreakers,
};

use super::{reported, send};
use crate::{CONFIG, Served, client, with_token};

fn get(served: &Served, path: &str) -> Value {
    client().get(served.url(path)).send().unwrap().json().unwrap()
}

/// Returns the number of the last override of an item.
fn last_override(served: &Served, id: &str) -> Value {
    get(served, &format!("/api/item?id={id}"))["last_override"].clone()
}

/// Returns what the answer to a conflict says about the override, if it is one, and checks the rest.
fn conflict((status, answer): (StatusCode, Value)) -> Value {
    assert_eq!((status, &answer["error"]), (StatusCode::CONFLICT, &json!("changed meanwhile")), "{answer}");
    assert_eq!(answer["at"].is_f64(), answer["action"].is_string(), "{answer}");
    json!(["operator", "reason", "action", "key"].map(|field| answer[field].clone()))
}

#[test]
fn an_override_that_an_operator_has_not_seen_is_a_conflict() {
    static UNSEEN: CircuitBreaker = CircuitBreaker::new("unseen", CONFIG);
    steadfast::register!(UNSEEN);
    let (dashboard, requests) = reported();
    let served = Served::new(&dashboard);
    assert_eq!(last_override(&served, "breaker+unseen"), Value::Null);
    let (status, first) = send(&served, "unseen", json!({ "expected_override": null }));
    assert_eq!((status, &last_override(&served, "breaker+unseen")), (StatusCode::OK, &first["n"]));
    // By an operator without a name, twice, so that the state and the number of changes tell nothing.
    let (_, second) = send(&served, "unseen", json!({ "action": "reset", "reason": null }));
    let seen = |expected: &Value| {
        let transitions = UNSEEN.snapshot().transitions;
        let fields = json!({ "action": "disable", "expected_override": expected, "expected_transitions": transitions });
        send(&served, "unseen", fields)
    };
    for expected in [&Value::Null, &first["n"]] {
        assert_eq!(conflict(seen(expected)), json!([null, null, "reset", null]));
    }
    assert_eq!(requests.lock().unwrap().last().map(|request| (request.applied, request.conflict)), Some((0, true)));
    assert_eq!(seen(&second["n"]).0, StatusCode::OK);
    assert_eq!(UNSEEN.state(), Disabled);
    // A request that does not tell is applied.
    assert_eq!(send(&served, "unseen", json!({})).0, StatusCode::OK);
    // The rows have the number as well.
    let rows = get(&served, "/api/breakers?name=unseen");
    assert_eq!(rows["breakers"][0]["last_override"], last_override(&served, "breaker+unseen"));
}

#[test]
fn an_override_of_all_keys_is_one_of_each_key() {
    static REGIONS: KeyedBreakers = KeyedBreakers::new("unseen regions", CONFIG);
    steadfast::register!(REGIONS);
    let [eu, us] = ["eu", "us"].map(|key| REGIONS.breaker(key));
    let served = Served::new(&with_token());
    let by = |operator: &str, fields: Value| {
        let mut all = json!({ "operator": operator });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        send(&served, "unseen regions", all)
    };
    let (_, of_eu) = by("ann", json!({ "key": "eu", "reason": "one region" }));
    // All keys are not forced or disabled unseen if one of them was.
    let unseen = json!({ "action": "disable", "expected_override": null });
    assert_eq!(conflict(by("bob", unseen.clone())), json!(["ann", "one region", "force_open", "eu"]));
    let seen = json!({ "action": "disable", "expected_override": of_eu["n"] });
    let (status, of_all) = by("bob", seen);
    assert_eq!((status, eu.state(), us.state()), (StatusCode::OK, Disabled, Disabled));
    assert_eq!(conflict(by("ann", unseen)), json!(["bob", "a test", "disable", null]));
    for id in ["group+unseen+regions", "key+14+unseen+regions+eu", "key+14+unseen+regions+us"] {
        assert_eq!(last_override(&served, id), of_all["n"], "{id}");
    }
    let of_key = |expected: &Value| by("ann", json!({ "key": "us", "expected_override": expected }));
    assert_eq!(conflict(of_key(&Value::Null)), json!(["bob", "a test", "disable", null]));
    assert_eq!((of_key(&of_all["n"]).0, us.state(), eu.state()), (StatusCode::OK, ForcedOpen, Disabled));
    let listed = get(&served, "/api/events?kind=override");
    let actions: Vec<_> = listed["events"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["force_open", "disable", "force_open"]);
}
