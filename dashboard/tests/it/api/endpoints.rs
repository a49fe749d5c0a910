//! The values of entries, and compression of answers.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use steadfast_dashboard::Dashboard;

use super::{get, list, program, served, text};
use crate::{Served, client};

fn breaker(served: &Served, name: &str) -> Value {
    get(served, &format!("/api/item?id=breaker {name}"))
}

#[test]
fn breakers_show_their_state_as_callers_feel_it() {
    let served = served();
    for (name, condition, state) in [
        ("is closed", "closed", "closed"),
        ("is open", "open", "open"),
        ("is half-open", "half-open", "half-open"),
        ("is forced open", "forced-open", "forced-open"),
        ("is disabled", "disabled", "disabled"),
        ("is observing", "observing", "open"),
        ("is ramping", "ramping", "closed"),
        ("is hung", "hung", "closed"),
    ] {
        let breaker = breaker(&served, name);
        assert_eq!([&breaker["condition"], &breaker["state"]], [condition, state], "{name}");
    }
    let open = breaker(&served, "is open");
    assert_eq!([&open["outage"]["failed_recoveries"], &open["rejections"], &open["failures"]], [0, 1, 1]);
    assert_eq!(open["outage"]["since"], open["since"]);
    let observing = breaker(&served, "is observing");
    assert_eq!([&observing["rejections"], &observing["observed_rejections"]], [0, 1]);
    let ramping = breaker(&served, "is ramping")["admitted_share"].as_f64().unwrap();
    assert!(ramping < 1.0 && ramping > 0.0, "{ramping}");
    assert_eq!(breaker(&served, "is forced open")["operator_reason"], "migration");
}

#[test]
fn an_item_has_its_settings_and_its_recent_events() {
    let served = served();
    let open = breaker(&served, "is open");
    let setting = |item: &Value, option: &str| {
        let settings = list(&item["settings"]).to_vec();
        settings.into_iter().find(|setting| setting["option"] == option).unwrap_or_else(|| panic!("{option}: {item:#}"))
    };
    assert_eq!(
        setting(&open, "failure_threshold"),
        json!({ "option": "failure_threshold", "value": "1", "source": "code" })
    );
    let recent: Vec<_> = list(&open["recent"]).iter().map(|event| event["to"].clone()).collect();
    assert_eq!(recent, [json!("open"), Value::Null], "a state change and a rejection");
    assert_eq!(setting(&get(&served, "/api/item?id=retry api retry"), "max_attempts")["value"], "2");
    assert_eq!(setting(&get(&served, "/api/item?id=bulkhead api bulkhead"), "max_queue")["value"], "3");
}

#[test]
fn callers_are_the_sums_of_the_fallbacks_around_a_breaker() {
    let served = served();
    let callers = breaker(&served, "has a fallback")["callers"].clone();
    assert_eq!(callers, json!({ "answered": 1, "fallback": 3, "failed": 0, "cancelled": 0 }));
    assert_eq!(breaker(&served, "is open")["callers"], Value::Null);
    // The calls of one key are not told apart: the sums are those of all keys together.
    let group = get(&served, "/api/item?id=group keyed with a fallback");
    assert_eq!(group["callers"], callers);
    let keys = get(&served, "/api/breakers?section=keys&name=keyed with a fallback");
    let items = ["works", "fails"].map(|key| get(&served, &format!("/api/item?id=key 21 keyed with a fallback {key}")));
    assert_eq!(list(&keys["keys"]).len(), 2);
    for key in list(&keys["keys"]).iter().chain(&items) {
        assert_eq!(key["callers"], Value::Null, "{key:#}");
    }
    let all = get(&served, "/api/breakers?section=fallbacks&search=guarded");
    assert_eq!(all["fallbacks"][0]["breakers"], json!(["has a fallback"]));
}

#[test]
fn answers_are_compressed_for_clients_that_accept_it() {
    let served = served();
    for path in ["/api/breakers", "/", "/style.css", "/js/app.js", "/metrics", "/api/live?once=1"] {
        let plain = client().get(served.url(path)).header("Accept-Encoding", "identity").send().unwrap();
        assert_eq!(plain.headers().get("content-encoding"), None, "{path}");
        assert_eq!(plain.headers()["vary"], "accept-encoding", "{path}");
        let plain = plain.bytes().unwrap();
        let response = client().get(served.url(path)).header("Accept-Encoding", "gzip").send().unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip", "{path}");
        assert_eq!(response.headers()["vary"], "accept-encoding", "{path}");
        let compressed = response.bytes().unwrap();
        let mut text = String::new();
        GzDecoder::new(&*compressed).read_to_string(&mut text).unwrap();
        assert!(compressed.len() < plain.len() && text.len().abs_diff(plain.len()) < 200, "{path}");
    }
    let small = client().get(served.url("/api/item?id=none")).header("Accept-Encoding", "gzip").send().unwrap();
    assert_eq!(small.headers().get("content-encoding"), None);
}

#[test]
fn two_dashboards_of_one_program_show_the_same() {
    program::run();
    let served = [Served::new(&Dashboard::new()), Served::nested("/inside/here", Dashboard::new())];
    let [first, second] = [get(&served[0], "/api/breakers"), get(&served[1], "/inside/here/api/breakers")];
    let ids = |body: &Value| -> Vec<_> { list(&body["breakers"]).iter().map(|entry| text(&entry["id"])).collect() };
    assert_eq!(ids(&first), ids(&second));
    let events = [get(&served[0], "/api/events"), get(&served[1], "/inside/here/api/events")];
    assert_eq!(events[0]["last"], events[1]["last"]);
}
