//! Operators at work: forgotten expiries, repeated requests, two operators at the same time, all keys at once.

use std::{
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use steadfast::{
    BreakerState::{Closed, Disabled, ForcedOpen},
    CircuitBreaker, KeyedBreakers,
};

use super::{reported, send};
use crate::{CONFIG, Served, with_token};

#[test]
fn an_override_expires_after_15_minutes_by_default() {
    static EXPIRING: CircuitBreaker = CircuitBreaker::new("expiring", CONFIG);
    steadfast::register!(EXPIRING);
    let served = Served::new(&with_token());
    for (action, fields, seconds) in [
        ("force_open", json!({}), Some(900.0)),
        ("disable", json!({}), Some(900.0)),
        ("force_open", json!({ "expires_in": 60.5 }), Some(60.5)),
        ("force_open", json!({ "expires_in": null }), None),
        ("disable", json!({ "expires_in": null }), None),
        ("reset", json!({}), None),
        ("reset", json!({ "expires_in": null }), None),
    ] {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let mut fields = fields;
        fields["action"] = action.into();
        let (status, answer) = send(&served, "expiring", fields.clone());
        let ended = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert_eq!(status, StatusCode::OK, "{fields}: {answer}");
        let snapshot = EXPIRING.snapshot();
        let left = snapshot.open_for.or(snapshot.disabled_for);
        match seconds {
            Some(seconds) => {
                let expires_at = answer["expires_at"].as_f64().unwrap();
                assert!((begun + seconds - 0.01..=ended + seconds + 0.01).contains(&expires_at), "{fields}: {answer}");
                assert!(left.unwrap() <= Duration::from_secs_f64(seconds), "{fields}: {left:?}");
            }
            None => assert_eq!((&answer["expires_at"], left), (&Value::Null, None), "{fields}"),
        }
    }
}

#[test]
fn a_repeated_request_has_one_effect_and_the_same_answer() {
    static REPEATED: CircuitBreaker = CircuitBreaker::new("repeated", CONFIG);
    steadfast::register!(REPEATED);
    let (dashboard, requests) = reported();
    let served = Served::new(&dashboard);
    let id = json!({ "request_id": "0123456789abcdef" });
    let first = send(&served, "repeated", id.clone());
    assert_eq!((first.0, REPEATED.state()), (StatusCode::OK, ForcedOpen));
    REPEATED.reset();
    assert_eq!(send(&served, "repeated", id.clone()), first);
    assert_eq!(REPEATED.state(), Closed, "the repeated request has no effect");
    assert_eq!(requests.lock().unwrap().len(), 1);
    for other in [json!({ "reason": "another" }), json!({ "expires_in": 60 }), json!({ "action": "disable" })] {
        let mut fields = id.clone();
        fields.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let (status, answer) = send(&served, "repeated", fields);
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!("this `request_id` belongs to another request"))
        );
    }
    assert_eq!(send(&served, "repeated", json!({ "request_id": "another-id" })).0, StatusCode::OK);
    assert_eq!((REPEATED.state(), requests.lock().unwrap().len()), (ForcedOpen, 2));
    let unknown = json!({ "request_id": "of-no-breaker" });
    let first = send(&served, "not yet declared", unknown.clone());
    assert_eq!((first.0, send(&served, "not yet declared", unknown)), (StatusCode::NOT_FOUND, first));
}

#[test]
fn a_request_that_is_repeated_in_progress_waits_for_the_answer() {
    static AT_ONCE: CircuitBreaker = CircuitBreaker::new("repeated at once", CONFIG);
    steadfast::register!(AT_ONCE);
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let dashboard = with_token().on_override(move |_| {
        entered.send(()).unwrap();
        _ = released.lock().unwrap().recv();
    });
    let served = Served::new(&dashboard);
    let id = json!({ "request_id": "0123456789abcdef" });
    thread::scope(|scope| {
        let first = scope.spawn(|| send(&served, "repeated at once", id.clone()));
        has_entered.recv().unwrap();
        let second = scope.spawn(|| send(&served, "repeated at once", id.clone()));
        // A second effect would be a second call of the callback, which does not wait: the channel is closed.
        drop(release);
        let first = first.join().unwrap();
        assert_eq!(first.0, StatusCode::OK);
        assert_eq!(second.join().unwrap(), first);
    });
    assert!(has_entered.try_recv().is_err(), "the callback is called once");
}

#[test]
fn the_second_of_two_operators_gets_a_conflict() {
    static CONTESTED: CircuitBreaker = CircuitBreaker::new("contested", CONFIG);
    steadfast::register!(CONTESTED);
    let (dashboard, requests) = reported();
    let served = Served::new(&dashboard);
    let by = |operator: &str, transitions: u64, fields: Value| {
        let mut all = json!({ "operator": operator, "expected_transitions": transitions });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        send(&served, "contested", all)
    };
    assert_eq!(by("ann", 0, json!({ "reason": "migration" })).0, StatusCode::OK);
    let (status, answer) = by("bob", 0, json!({ "action": "disable" }));
    assert_eq!(status, StatusCode::CONFLICT);
    let since = CONTESTED.snapshot().last_transition.unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((answer["since"].as_f64().unwrap() - since).abs() < 0.02, "{answer}");
    let mut answer = answer;
    answer["since"].take();
    let expected = json!({
        "error": "changed meanwhile", "state": "forced-open", "since": null, "operator": "ann", "reason": "migration",
        "action": null, "at": null, "n": null, "key": null,
    });
    assert_eq!(answer, expected);
    assert_eq!(CONTESTED.state(), ForcedOpen, "nothing is done");
    {
        let requests = requests.lock().unwrap();
        let effects: Vec<_> = requests.iter().map(|request| (request.applied, request.conflict)).collect();
        assert_eq!(effects, [(1, false), (0, true)]);
    }
    assert_eq!(by("bob", 1, json!({ "action": "disable" })).0, StatusCode::OK);
    assert_eq!(CONTESTED.state(), Disabled);
    // A change that no operator has made.
    CONTESTED.reset();
    let (status, answer) = by("ann", 2, json!({}));
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!((&answer["state"], &answer["reason"]), (&json!("closed"), &Value::Null), "{answer}");
}

#[test]
fn one_of_many_operators_at_the_same_time_succeeds() {
    static CROWDED: CircuitBreaker = CircuitBreaker::new("crowded", CONFIG);
    steadfast::register!(CROWDED);
    let served = Served::new(&with_token());
    let mut statuses = thread::scope(|scope| {
        let requests: Vec<_> =
            (0..8).map(|_| scope.spawn(|| send(&served, "crowded", json!({ "expected_transitions": 0 })).0)).collect();
        requests.into_iter().map(|request| request.join().unwrap().as_u16()).collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[test]
fn an_override_without_a_key_applies_to_all_present_keys() {
    static REGIONS: KeyedBreakers = KeyedBreakers::new("overridden regions", CONFIG).max_keys(3);
    steadfast::register!(REGIONS);
    let (dashboard, requests) = reported();
    let served = Served::new(&dashboard);
    let (status, answer) = send(&served, "overridden regions", json!({}));
    assert_eq!((status, &answer["error"]), (StatusCode::NOT_FOUND, &json!("this keyed breaker has no keys yet")));
    let keys = ["eu", "us"].map(|key| REGIONS.breaker(key));
    let (status, answer) = send(&served, "overridden regions", json!({ "operator": "ann" }));
    assert_eq!((status, &answer["state"], &answer["applied"]), (StatusCode::OK, &json!("forced-open"), &json!(2)));
    assert_eq!(keys.each_ref().map(|breaker| breaker.state()), [ForcedOpen, ForcedOpen]);
    let later = REGIONS.breaker("asia");
    assert_eq!(later.state(), Closed, "a later key is not affected");
    later.disable();
    let of_key = json!({ "key": "eu", "expected_transitions": 0 });
    let (status, answer) = send(&served, "overridden regions", of_key);
    assert_eq!((status, &answer["operator"]), (StatusCode::CONFLICT, &json!("ann")), "{answer}");
    let (status, _) = send(&served, "overridden regions", json!({ "expected_transitions": 0 }));
    assert_eq!(status, StatusCode::BAD_REQUEST, "each key has its own number");
    // The overflow breaker serves the keys for which there is no room, so it belongs to all keys.
    let overflow = REGIONS.breaker("africa");
    assert!(overflow.snapshot().overflow);
    let (status, answer) = send(&served, "overridden regions", json!({ "action": "disable", "expires_in": null }));
    assert_eq!((status, &answer["applied"]), (StatusCode::OK, &json!(4)), "{answer}");
    assert_eq!(overflow.state(), Disabled);
    assert_eq!(requests.lock().unwrap().iter().map(|request| request.applied).collect::<Vec<_>>(), [0, 2, 0, 0, 4]);
}
