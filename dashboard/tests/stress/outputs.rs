//! The outputs of the dashboard: metrics, JSON, and the rows of the stream.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use steadfast::{RetrySnapshot, Snapshot};
use steadfast_dashboard::Dashboard;
use tokio::runtime::Runtime;

/// The counts that all outputs have to show.
pub(crate) struct Expected {
    pub(crate) snapshot: Snapshot,
    pub(crate) retries: RetrySnapshot,
    pub(crate) callers: Callers,
}

/// The outcomes for callers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Callers {
    pub(crate) answered: u64,
    pub(crate) fallback: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    pub(crate) panicked: u64,
}

/// Returns the value of a sample in Prometheus' text format.
fn sample(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let matches =
        |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
    let line = metrics.lines().find(matches).unwrap_or_else(|| panic!("{name} {labels:?} in {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A dashboard that is served, with an open page.
pub(crate) struct Outputs<'r> {
    runtime: &'r Runtime,
    address: SocketAddr,
    /// The stream of the page as far as it was read.
    stream: Arc<Mutex<String>>,
}

/// The maximum time until the page has all changes.
const HANG: Duration = Duration::from_secs(30);

impl<'r> Outputs<'r> {
    /// Serves a dashboard and opens a page.
    pub(crate) fn new(runtime: &'r Runtime) -> Self {
        let server = runtime.block_on(Dashboard::new().bind("127.0.0.1:0")).unwrap();
        let address = server.address();
        runtime.spawn(server.run());
        let stream = Arc::new(Mutex::new(String::new()));
        let read = stream.clone();
        runtime.spawn(async move {
            let mut response = reqwest::get(format!("http://{address}/api/live")).await.unwrap();
            while let Some(part) = response.chunk().await.unwrap() {
                read.lock().unwrap().push_str(&String::from_utf8_lossy(&part));
            }
        });
        Self { runtime, address, stream }
    }

    fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        self.runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
    }

    /// Compares the metrics, the JSON and the rows of the stream with the counts.
    pub(crate) fn compare(&self, expected: &Expected) {
        let Expected { snapshot, retries, callers } = expected;
        compare_metrics(&self.get("/metrics"), expected);
        let json = |path: &str| serde_json::from_str::<Value>(&self.get(path)).unwrap();
        let all = json("/api/breakers?name=stress");
        let rows = self.final_rows(expected);
        let row = |id: &str| Value::from(rows.values().find(|row| row["id"] == id).unwrap().clone());
        for breaker in [&all["breakers"][0], &json("/api/item?id=breaker%20stress"), &row("breaker stress")] {
            check_breaker(breaker, snapshot, callers);
        }
        for retry in [&all["retries"][0], &json("/api/item?id=retry%20stress"), &row("retry stress")] {
            check_retry(retry, retries);
        }
    }

    /// Returns the rows of the page, once it has received the last counts.
    fn final_rows(&self, expected: &Expected) -> BTreeMap<u64, Map<String, Value>> {
        let begun = Instant::now();
        loop {
            let rows = rows(&self.stream.lock().unwrap());
            let is_final = |row: &Map<String, Value>| {
                row["id"] == "breaker stress" && row.get("successes") == Some(&expected.snapshot.successes.into())
            };
            if rows.values().any(is_final) {
                return rows;
            }
            assert!(begun.elapsed() < HANG, "{rows:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn compare_metrics(metrics: &str, expected: &Expected) {
    let Expected { snapshot, retries, callers } = expected;
    let of_breaker = |outcome: &str| {
        sample(metrics, "circuit_breaker_calls_total", &["service=\"stress\"", &format!("outcome=\"{outcome}\"")])
    };
    assert_eq!(of_breaker("success"), snapshot.successes);
    assert_eq!(of_breaker("failure"), snapshot.failures);
    assert_eq!(of_breaker("ignored"), snapshot.ignored);
    assert_eq!(of_breaker("cancelled"), snapshot.cancelled);
    assert_eq!(of_breaker("rejected"), snapshot.rejections);
    let of_retry =
        |outcome: &str| sample(metrics, "retry_calls_total", &["retry=\"stress\"", &format!("outcome=\"{outcome}\"")]);
    assert_eq!(of_retry("first_try"), retries.first_try_successes);
    assert_eq!(of_retry("retried"), retries.retried_successes);
    assert_eq!(of_retry("not_transient"), retries.not_transient);
    assert_eq!(of_retry("rejected"), retries.rejected);
    assert_eq!(of_retry("exhausted"), retries.exhausted);
    assert_eq!(of_retry("cancelled"), retries.cancelled);
    assert_eq!(of_retry("panicked"), retries.panicked);
    let of_attempts = |name: &str| sample(metrics, name, &["retry=\"stress\""]);
    assert_eq!(of_attempts("retry_attempts_total"), retries.attempts);
    assert_eq!(of_attempts("retry_rejections_total"), retries.rejections);

    let of_callers = |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"");
        let is_counted = |line: &&str| {
            line.starts_with("fallback_calls_total{") && line.contains("stress::workload") && line.contains(&label)
        };
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        metrics.lines().filter(is_counted).map(value).sum::<u64>()
    };
    assert_eq!(of_callers("answered"), callers.answered);
    assert_eq!(of_callers("fallback"), callers.fallback);
    assert_eq!(of_callers("failed"), callers.failed);
    assert_eq!(of_callers("cancelled"), callers.cancelled);
    assert_eq!(of_callers("panicked"), callers.panicked);
}

/// Returns the rows that a page has after the events of a stream.
fn rows(stream: &str) -> BTreeMap<u64, Map<String, Value>> {
    let mut rows: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    // The last event may not be complete yet.
    let complete = stream.rfind("\n\n").map_or("", |end| &stream[..end]);
    for event in complete.split_terminator("\n\n") {
        let (_, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        for row in data["rows"].as_array().into_iter().flatten() {
            rows.insert(row["i"].as_u64().unwrap(), row.as_object().unwrap().clone());
        }
        for change in data["set"].as_array().into_iter().flatten() {
            rows.get_mut(&change[0].as_u64().unwrap()).unwrap().extend(change[1].as_object().unwrap().clone());
        }
    }
    rows
}

/// Returns a count, which a row of the stream leaves out if it is 0.
fn count(entry: &Value, field: &str) -> u64 {
    entry.get(field).map_or(0, |value| value.as_u64().unwrap_or_else(|| panic!("{field}: {value}")))
}

fn check_breaker(breaker: &Value, snapshot: &Snapshot, callers: &Callers) {
    for (field, expected) in [
        ("successes", snapshot.successes),
        ("failures", snapshot.failures),
        ("ignored", snapshot.ignored),
        ("cancelled", snapshot.cancelled),
        ("rejections", snapshot.rejections),
        ("observed_rejections", snapshot.observed_rejections),
        ("transitions", snapshot.transitions),
    ] {
        assert_eq!(count(breaker, field), expected, "{field}");
    }
    for (field, expected) in [
        ("answered", callers.answered),
        ("fallback", callers.fallback),
        ("failed", callers.failed + callers.panicked),
        ("cancelled", callers.cancelled),
    ] {
        assert_eq!(count(&breaker["callers"], field), expected, "{field}");
    }
}

fn check_retry(retry: &Value, retries: &RetrySnapshot) {
    for (field, expected) in [
        ("first_try_successes", retries.first_try_successes),
        ("retried_successes", retries.retried_successes),
        ("not_transient", retries.not_transient),
        ("rejected", retries.rejected),
        ("exhausted", retries.exhausted),
        ("cancelled", retries.cancelled),
        ("panicked", retries.panicked),
        ("attempts", retries.attempts),
        ("rejections", retries.rejections),
        ("retries", retries.retries),
        ("calls", retries.calls()),
    ] {
        assert_eq!(count(retry, field), expected, "{field}");
    }
}
