//! Calls in flight, hung and cancelled calls, and durations: as JSON, on the page and for Prometheus.

use std::{sync::LazyLock, time::Duration};

use serde_json::{Value, json};
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers, Permit, retry};
use steadfast_dashboard::Dashboard;

use crate::{CONFIG, Served, browser::Browser, client, prometheus::check_metrics, succeed, wait_for};

const HUNG_CALL: Duration = Duration::from_millis(1);

static HUNG: CircuitBreaker =
    CircuitBreaker::new("with a hung call", BreakerConfig::new().failure_threshold(1).hung_call(HUNG_CALL));
steadfast::register!(HUNG);
static UNMEASURED: CircuitBreaker = CircuitBreaker::new("without durations", CONFIG);
steadfast::register!(UNMEASURED);
static KEYS: KeyedBreakers = KeyedBreakers::new("keys with durations", CONFIG.durations(true));
steadfast::register!(KEYS);

#[retry(name = "retry with durations", max_attempts = 2, backoff = none)]
fn retried() -> std::io::Result<()> {
    Err(std::io::ErrorKind::TimedOut.into())
}

/// Makes calls of each outcome, once for all tests.
fn make_calls() {
    static HANGING: LazyLock<Permit<'static>> = LazyLock::new(|| {
        let hanging = HUNG.try_acquire().unwrap();
        wait_for(|| HUNG.try_acquire().map(Permit::success).err());
        succeed(&UNMEASURED);
        let breaker = KEYS.breaker("a");
        breaker.try_acquire().unwrap().success();
        breaker.try_acquire().unwrap().failure();
        drop(breaker.try_acquire().unwrap());
        retried().unwrap_err();
        hanging
    });
    LazyLock::force(&HANGING);
}

/// Returns the entry of the JSON with this name.
fn entry<'j>(json: &'j Value, section: &str, name: &str) -> &'j Value {
    json[section].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap()
}

#[test]
fn the_json_contains_calls_in_flight_and_durations() {
    make_calls();
    let served = Served::new(&Dashboard::new());
    let json: Value = client().get(served.url("/api/breakers")).send().unwrap().json().unwrap();

    let hung = entry(&json, "breakers", "with a hung call");
    assert_eq!(hung["reason"], "open because a call has not answered for 1ms");
    assert_eq!([&hung["hung"], &hung["in_flight"]], [1, 1]);
    assert!(hung["oldest_in_flight"].as_f64().unwrap() >= HUNG_CALL.as_secs_f64(), "{hung}");
    assert_eq!(hung["durations"]["count"], hung["successes"]);

    let unmeasured = entry(&json, "breakers", "without durations");
    for field in ["hung", "in_flight", "oldest_in_flight", "durations"] {
        assert_eq!(unmeasured.get(field), Some(&Value::Null), "{field}");
    }

    let keys = entry(&json, "groups", "keys with durations");
    assert_eq!([&keys["ignored"], &keys["cancelled"], &keys["durations"]["count"]], [0, 1, 3]);
    let key = entry(&json, "keys", "keys with durations");
    assert_eq!([&key["cancelled"], &key["durations"]], [&json!(1), &Value::Null]);

    let retry = &entry(&json, "retries", "retry with durations")["attempt_durations"];
    for durations in [&keys["durations"], retry] {
        let seconds = ["p50", "p95", "p99", "max"].map(|field| durations[field].as_f64().unwrap());
        assert!(seconds.is_sorted(), "{durations}");
    }
    let counts = ["successes", "failures", "ignored", "cancelled"].map(|outcome| &retry[outcome]["count"]);
    assert_eq!(counts, [0, 2, 0, 0]);
    assert_eq!(retry["count"], 2);
}

#[test]
fn promtool_accepts_the_metrics_with_calls_in_flight_and_durations() {
    make_calls();
    let served = Served::new(&Dashboard::new());
    let metrics = check_metrics(&served);
    for (series, value) in [
        (r#"circuit_breaker_hung_calls_total{service="with a hung call"}"#, "1"),
        (r#"circuit_breaker_in_flight{service="with a hung call"}"#, "1"),
        (r#"circuit_breaker_call_duration_seconds_count{service="keys with durations",outcome="cancelled"}"#, "1"),
        (r#"retry_attempt_duration_seconds_count{retry="retry with durations",outcome="failure"}"#, "2"),
    ] {
        assert!(metrics.lines().any(|line| line == format!("{series} {value}")), "{series} {metrics}");
    }
    let oldest = r#"circuit_breaker_oldest_in_flight_seconds{service="with a hung call"} "#;
    let oldest = metrics.lines().find_map(|line| line.strip_prefix(oldest)).unwrap();
    assert!(oldest.parse::<f64>().unwrap() >= HUNG_CALL.as_secs_f64(), "{oldest}");
    assert!(!metrics.contains(r#"circuit_breaker_in_flight{service="without durations"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_details_show_hung_and_cancelled_calls_and_durations() {
    make_calls();
    let served = Served::new(&Dashboard::new());
    let browser = Browser::open(&served.url("/")).await;
    // The total of a figure, and the presence of the table of durations.
    let shows = |label: &str, total: &str, durations: bool| {
        format!(
            "const rows = [...document.querySelectorAll('#details .figures-table tbody tr')]; \
             return rows.some(row => row.firstChild.textContent === '{label}' && row.lastChild.textContent === '{total}') \
               && !!document.querySelector('#details .durations-table') === {durations}"
        )
    };
    for (name, label, total, durations) in [
        ("with a hung call", "Hung", "1", true),
        ("keys with durations", "Cancelled", "1", true),
        ("without durations", "Succeeded", "1", false),
    ] {
        browser.open_details(name).await;
        browser.until(&shows(label, total, durations)).await;
        browser.run("document.querySelector('#details').close()").await;
    }
    browser.close().await;
}
