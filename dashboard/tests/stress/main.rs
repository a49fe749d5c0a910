//! 100,000 mixed calls from tasks and threads through one breaker and one retry, many of them aborted, panicking or rejected, while
//! the settings change and an operator overrides the state. Afterwards, the counts of the callers, the snapshots, the events, the
//! metrics and the JSON agree exactly.
//!
//! A test binary of its own, because events belong to the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod workload;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use serde_json::Value;
use steadfast::{
    RetrySnapshot, Snapshot,
    events::{self, Event},
};
use steadfast_dashboard::Dashboard;
use tokio::runtime::Runtime;

use self::workload::{BODIES, CALLS, Counts, THREADS, operate, run_tasks, run_thread, silence_expected_panics};

/// The received events, by kind.
static EVENTS: Counts = Counts::new();

/// Returns the value of a sample in Prometheus' text format.
fn sample(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let matches =
        |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
    let line = metrics.lines().find(matches).unwrap_or_else(|| panic!("{name} {labels:?} in {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn entry<'j>(json: &'j Value, section: &str) -> &'j Value {
    json[section].as_array().unwrap().iter().find(|entry| entry["name"] == "stress").unwrap()
}

#[test]
fn callers_snapshots_events_metrics_and_json_agree() {
    silence_expected_panics();
    let lost = Arc::new(AtomicU64::new(0));
    let subscription = events::subscribe({
        let lost = lost.clone();
        move |event| match event {
            Event::StateChanged { breaker: "stress", .. } => EVENTS.add("transition"),
            Event::CallRejected { .. } => EVENTS.add("rejection"),
            Event::RetrySucceeded { .. } => EVENTS.add("retried success"),
            Event::RetriesExhausted { .. } => EVENTS.add("exhausted"),
            Event::RetryRejected { .. } => EVENTS.add("retry rejected"),
            Event::EventsLost { events, .. } => _ = lost.fetch_add(*events, Relaxed),
            _ => EVENTS.add("other"),
        }
    });

    let runtime = Runtime::new().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| operate(&done));
        let callers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run_thread((thread + 1) << 20))).collect();
        // Spawned, so that `run_tasks` runs on the same workers as the tasks that it waits for.
        runtime.block_on(async { tokio::spawn(run_tasks()).await }).unwrap();
        for caller in callers {
            caller.join().unwrap();
        }
        done.store(true, Relaxed);
    });

    let snapshot = steadfast::breaker("stress").unwrap().snapshot();
    let retries = steadfast::retries().into_iter().find(|retry| retry.name == "stress").unwrap();

    // Every outcome of a call occurs.
    let outcomes = ["success", "transient", "not transient", "rejected", "panicked"].map(|name| CALLS.get(name));
    let calls = CALLS.get("started");
    let aborted = calls - outcomes.iter().sum::<u64>();
    assert!(outcomes.iter().all(|count| *count > 100) && aborted > 100, "{CALLS:?}");

    // The breaker agrees with the bodies.
    assert_eq!(snapshot.successes, BODIES.get("succeeded"));
    assert_eq!(snapshot.failures, BODIES.get("failed") + BODIES.get("panicked"));
    assert_eq!([snapshot.ignored, snapshot.cancelled], ["ignored", "cancelled"].map(|name| BODIES.get(name)));

    // The retry agrees with its callers.
    let [success, transient, not_transient, rejected, panicked] = outcomes;
    assert_eq!(retries.first_try_successes + retries.retried_successes, success);
    assert_eq!(retries.exhausted, transient);
    assert_eq!(retries.not_transient, not_transient);
    assert_eq!(retries.rejected, rejected);
    assert_eq!([retries.panicked, retries.cancelled], [panicked, aborted]);

    // The attempts are the calls that the breaker admitted; it rejected the others.
    let admitted = ["succeeded", "failed", "panicked", "ignored", "cancelled"].map(|name| BODIES.get(name));
    assert_eq!(retries.attempts, admitted.iter().sum::<u64>());
    assert_eq!(retries.rejections, snapshot.rejections);
    // An attempt without a delay that the breaker rejects does not count as a retry.
    assert!(retries.calls() + retries.retries <= retries.attempts + snapshot.rejections);

    // The events agree with the snapshots, unless some were lost.
    let delivered = || {
        let names = ["transition", "rejection", "retried success", "exhausted", "retry rejected", "other"];
        names.iter().map(|name| EVENTS.get(name)).sum::<u64>() + lost.load(Relaxed)
    };
    println!("events: {EVENTS:?}, lost: {lost:?}");
    assert_eq!(EVENTS.get("transition"), snapshot.transitions);
    if lost.load(Relaxed) == 0 {
        assert_eq!(EVENTS.get("rejection"), snapshot.rejections);
        assert_eq!(EVENTS.get("retried success"), retries.retried_successes);
        assert_eq!(EVENTS.get("exhausted"), retries.exhausted);
        assert_eq!(EVENTS.get("retry rejected"), retries.rejected);
    }
    assert!(delivered() > 0);
    subscription.unsubscribe();

    compare_outputs(&runtime, &snapshot, &retries);
}

/// Compares the metrics and the JSON with the snapshots.
fn compare_outputs(runtime: &Runtime, snapshot: &Snapshot, retries: &RetrySnapshot) {
    let server = runtime.block_on(Dashboard::new().bind("127.0.0.1:0")).unwrap();
    let address = server.address();
    runtime.spawn(server.run());
    let get = |path: &str| {
        let url = format!("http://{address}{path}");
        runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
    };
    let metrics = get("/metrics");
    let of_breaker = |outcome: &str| {
        sample(&metrics, "circuit_breaker_calls_total", &["service=\"stress\"", &format!("outcome=\"{outcome}\"")])
    };
    assert_eq!(of_breaker("success"), snapshot.successes);
    assert_eq!(of_breaker("failure"), snapshot.failures);
    assert_eq!(of_breaker("ignored"), snapshot.ignored);
    assert_eq!(of_breaker("cancelled"), snapshot.cancelled);
    assert_eq!(of_breaker("rejected"), snapshot.rejections);
    let of_retry =
        |outcome: &str| sample(&metrics, "retry_calls_total", &["retry=\"stress\"", &format!("outcome=\"{outcome}\"")]);
    assert_eq!(of_retry("first_try"), retries.first_try_successes);
    assert_eq!(of_retry("retried"), retries.retried_successes);
    assert_eq!(of_retry("not_transient"), retries.not_transient);
    assert_eq!(of_retry("rejected"), retries.rejected);
    assert_eq!(of_retry("exhausted"), retries.exhausted);
    assert_eq!(of_retry("cancelled"), retries.cancelled);
    assert_eq!(of_retry("panicked"), retries.panicked);
    let of_attempts = |name: &str| sample(&metrics, name, &["retry=\"stress\""]);
    assert_eq!(of_attempts("retry_attempts_total"), retries.attempts);
    assert_eq!(of_attempts("retry_rejections_total"), retries.rejections);

    let json: Value = serde_json::from_str(&get("/api/breakers")).unwrap();
    let breaker = entry(&json, "breakers");
    for (field, count) in [
        ("successes", snapshot.successes),
        ("failures", snapshot.failures),
        ("ignored", snapshot.ignored),
        ("cancelled", snapshot.cancelled),
        ("rejections", snapshot.rejections),
        ("transitions", snapshot.transitions),
    ] {
        assert_eq!(breaker[field], count, "{field}");
    }
    let retry = entry(&json, "retries");
    for (field, count) in [
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
        assert_eq!(retry[field], count, "{field}");
    }
}
