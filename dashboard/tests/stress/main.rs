//! 100,000 mixed calls from tasks and threads through one breaker and one retry, many of them aborted, panicking or rejected, while
//! the settings change and an operator overrides the state. Afterwards, the counts of the callers, the snapshots, the events, the
//! metrics, the JSON and the rows of the stream agree exactly. A fallback on top counts what its callers get.
//!
//! A test binary of its own, because events belong to the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod outputs;
mod workload;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use steadfast::{
    FallbackSnapshot,
    events::{self, Event},
};
use tokio::runtime::Runtime;

use self::{
    outputs::{Callers, Expected, Outputs},
    workload::{BODIES, CALLS, Counts, THREADS, operate, run_tasks, run_thread, silence_expected_panics},
};

/// The received events, by kind.
static EVENTS: Counts = Counts::new();

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
    let outputs = Outputs::new(&runtime);
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

    // The fallbacks of the two functions agree with their callers: the same names, whatever happened below.
    let fallbacks: Vec<_> =
        steadfast::fallbacks().into_iter().filter(|fallback| fallback.breakers == ["stress"]).collect();
    assert_eq!(fallbacks.len(), 2);
    let sum = |count: fn(&FallbackSnapshot) -> u64| fallbacks.iter().map(count).sum::<u64>();
    let callers = Callers {
        answered: sum(|fallback| fallback.answered),
        fallback: sum(|fallback| fallback.fallback),
        failed: sum(|fallback| fallback.failed),
        cancelled: sum(|fallback| fallback.cancelled),
        panicked: sum(|fallback| fallback.panicked),
    };
    assert_eq!(
        callers,
        Callers {
            answered: success,
            fallback: rejected,
            failed: transient + not_transient,
            cancelled: aborted,
            panicked
        }
    );

    outputs.compare(&Expected { snapshot, retries, callers });
}
