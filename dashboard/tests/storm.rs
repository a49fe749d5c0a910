//! 100,000 mixed calls of tasks and threads at one breaker and one retry, of which many are aborted, panic or are rejected, while
//! the settings change and the circuit is held open and closed by hand. Afterwards the callers, the snapshots, the events, the
//! metrics and the JSON agree to the call.
//!
//! A process of its own: events are those of the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use steadfast::{
    BreakerConfig, CircuitOpen, RetrySnapshot, Snapshot, Transient, circuit_breaker,
    events::{self, Event},
    retry,
};
use steadfast_dashboard::Dashboard;
use tokio::{runtime::Runtime, task, time::timeout};

const TASKS: u64 = 80_000;
const THREADS: u64 = 2;
const CALLS_OF_A_THREAD: u64 = 10_000;
/// Tasks that run at once.
const AT_ONCE: u64 = 64;
/// The bound of a hang.
const HANG: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Transient)]
enum Failure {
    #[transient]
    Transient,
    Permanent,
    /// Left out by `failure_if`.
    Ignored,
    Open,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failure {}

impl From<CircuitOpen> for Failure {
    fn from(_: CircuitOpen) -> Self {
        Self::Open
    }
}

/// Counts by name.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    fn add(&self, name: &'static str) {
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }

    fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

/// Ends of the bodies, one for each admitted attempt.
static BODIES: Counts = Counts::new();
/// Ends of the calls, as their callers see them.
static CALLS: Counts = Counts::new();
/// Ends of the calls of the retry that were admitted at least once, or rejected.
static EVENTS: Counts = Counts::new();

/// A body that runs. Counted when it ends, however it ends.
struct Body {
    end: &'static str,
}

impl Body {
    fn begin() -> Self {
        Self { end: "cancelled" }
    }

    /// Ends as the number says: more than half of them in success.
    fn end(mut self, number: u64) -> Result<(), Failure> {
        let (end, result) = match number % 20 {
            0..5 => ("failed", Err(Failure::Transient)),
            5 => ("failed", Err(Failure::Permanent)),
            6..8 => ("ignored", Err(Failure::Ignored)),
            8 => {
                self.end = "panicked";
                panic!("{QUIET}");
            }
            _ => ("succeeded", Ok(())),
        };
        self.end = end;
        result
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        BODIES.add(self.end);
    }
}

const QUIET: &str = "one of the storm's";

#[retry(name = "storm", max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "storm", failure_threshold = 5, recovery_timeout = 1ms,
                  failure_if = |error: &Failure| *error != Failure::Ignored)]
async fn call_async(seed: u64) -> Result<(), Failure> {
    let body = Body::begin();
    let number = random(seed);
    for _ in 0..number % 3 {
        task::yield_now().await;
    }
    if number.is_multiple_of(11) {
        std::future::pending::<()>().await;
    }
    body.end(number / 11)
}

#[retry(name = "storm", max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "storm", failure_threshold = 5, recovery_timeout = 1ms,
                  failure_if = |error: &Failure| *error != Failure::Ignored)]
fn call(seed: u64) -> Result<(), Failure> {
    Body::begin().end(random(seed))
}

/// Another number for each attempt (splitmix64).
fn random(seed: u64) -> u64 {
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let mut number = (seed << 32).wrapping_add(ATTEMPTS.fetch_add(1, Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ number >> 31
}

fn count_call(result: &Result<(), Failure>) {
    CALLS.add(match result {
        Ok(()) => "success",
        Err(Failure::Transient) => "transient",
        Err(Failure::Permanent | Failure::Ignored) => "not transient",
        Err(Failure::Open) => "rejected",
    });
}

/// Starts tasks, and aborts some; a call that hangs is aborted in any case.
async fn tasks() {
    for wave in 0..TASKS / AT_ONCE {
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|index| {
                tokio::spawn(async move {
                    CALLS.add("begun");
                    let result = call_async(wave * AT_ONCE + index).await;
                    count_call(&result);
                })
            })
            .collect();
        for _ in 0..AT_ONCE / 4 {
            task::yield_now().await;
        }
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            match timeout(HANG, task).await.expect("a task ends") {
                Ok(()) => {}
                Err(error) => CALLS.add(if error.is_panic() { "panicked" } else { "aborted" }),
            }
        }
    }
}

fn threads(seed: u64) {
    for index in 0..CALLS_OF_A_THREAD {
        CALLS.add("begun");
        match catch_unwind(AssertUnwindSafe(|| call(seed + index))) {
            Ok(result) => count_call(&result),
            Err(_) => CALLS.add("panicked"),
        }
        // A thread that never waits would fill the queue of events while the one that delivers them is not scheduled.
        thread::yield_now();
    }
}

/// Changes settings and state by hand until `done`.
fn operator(done: &AtomicBool) {
    let breaker = steadfast::breaker("storm").unwrap();
    let configs = [
        BreakerConfig::new().failure_threshold(5).recovery_timeout(Duration::from_millis(1)),
        BreakerConfig::new().failure_threshold(3).recovery_timeout(Duration::from_micros(100)).half_open_max_calls(1),
        BreakerConfig::new()
            .window(steadfast::Window::calls(20))
            .failure_rate(0.5)
            .recovery_timeout(Duration::from_millis(1)),
    ];
    for config in configs.into_iter().cycle() {
        if done.load(Relaxed) {
            break;
        }
        breaker.reconfigure(config);
        breaker.force_open();
        thread::yield_now();
        breaker.disable();
        thread::yield_now();
        breaker.reset();
        for _ in 0..200 {
            thread::yield_now();
        }
    }
}

/// A sample of the text that Prometheus reads.
fn sample(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let is_it = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
    let line = metrics.lines().find(is_it).unwrap_or_else(|| panic!("{name} {labels:?} in {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn json_of<'j>(json: &'j Value, section: &str) -> &'j Value {
    json[section].as_array().unwrap().iter().find(|entry| entry["name"] == "storm").unwrap()
}

#[test]
fn callers_snapshots_events_metrics_and_json_agree() {
    keep_quiet();
    let lost = Arc::new(AtomicU64::new(0));
    let subscription = events::subscribe({
        let lost = lost.clone();
        move |event| match event {
            Event::StateChanged { breaker: "storm", .. } => EVENTS.add("transition"),
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
        scope.spawn(|| operator(&done));
        let callers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || threads((thread + 1) << 20))).collect();
        // As a task among the others, so that they run while it yields.
        runtime.block_on(async { tokio::spawn(tasks()).await }).unwrap();
        for caller in callers {
            caller.join().unwrap();
        }
        done.store(true, Relaxed);
    });

    let snapshot = steadfast::breaker("storm").unwrap().snapshot();
    let retries = steadfast::retries().into_iter().find(|retry| retry.name == "storm").unwrap();

    // The callers among themselves.
    let ends = ["success", "transient", "not transient", "rejected", "panicked"].map(|end| CALLS.get(end));
    let calls = CALLS.get("begun");
    let aborted = calls - ends.iter().sum::<u64>();
    assert!(ends.iter().all(|end| *end > 100) && aborted > 100, "each kind of end occurs: {CALLS:?}");

    // The breaker beside the bodies.
    assert_eq!(snapshot.successes, BODIES.get("succeeded"));
    assert_eq!(snapshot.failures, BODIES.get("failed") + BODIES.get("panicked"));
    assert_eq!(snapshot.neutral, BODIES.get("ignored") + BODIES.get("cancelled"));

    // The retry beside its callers.
    let [success, transient, not_transient, rejected, panicked] = ends;
    assert_eq!(retries.first_try_successes + retries.retried_successes, success);
    assert_eq!(retries.exhausted, transient);
    assert_eq!(retries.not_transient, not_transient);
    assert_eq!(retries.rejected, rejected);
    assert_eq!([retries.panicked, retries.cancelled], [panicked, aborted]);

    // Attempts are the calls that the breaker admitted; it rejected the rest.
    let admitted = ["succeeded", "failed", "panicked", "ignored", "cancelled"].map(|end| BODIES.get(end));
    assert_eq!(retries.attempts, admitted.iter().sum::<u64>());
    // An attempt without a delay, made only to be rejected, counts as no retry.
    assert!(retries.calls() + retries.retries <= retries.attempts + snapshot.rejections);

    // Events.
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

    tell_the_same(&runtime, &snapshot, &retries);
}

/// Keeps the panics of the storm out of the output.
fn keep_quiet() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(QUIET) {
            hook(info);
        }
    }));
}

/// Compares the metrics and the JSON with the snapshots.
fn tell_the_same(runtime: &Runtime, snapshot: &Snapshot, retries: &RetrySnapshot) {
    let server = runtime.block_on(Dashboard::new().bind("127.0.0.1:0")).unwrap();
    let address = server.address();
    runtime.spawn(server.run());
    let get = |path: &str| {
        let url = format!("http://{address}{path}");
        runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
    };
    let metrics = get("/metrics");
    let of_breaker = |outcome: &str| {
        sample(&metrics, "circuit_breaker_calls_total", &["service=\"storm\"", &format!("outcome=\"{outcome}\"")])
    };
    assert_eq!(of_breaker("success"), snapshot.successes);
    assert_eq!(of_breaker("failure"), snapshot.failures);
    assert_eq!(of_breaker("neutral"), snapshot.neutral);
    assert_eq!(of_breaker("rejected"), snapshot.rejections);
    let of_retry =
        |outcome: &str| sample(&metrics, "retry_calls_total", &["retry=\"storm\"", &format!("outcome=\"{outcome}\"")]);
    assert_eq!(of_retry("first_try"), retries.first_try_successes);
    assert_eq!(of_retry("retried"), retries.retried_successes);
    assert_eq!(of_retry("not_transient"), retries.not_transient);
    assert_eq!(of_retry("rejected"), retries.rejected);
    assert_eq!(of_retry("exhausted"), retries.exhausted);
    assert_eq!(of_retry("cancelled"), retries.cancelled);
    assert_eq!(of_retry("panicked"), retries.panicked);

    let json: Value = serde_json::from_str(&get("/api/breakers")).unwrap();
    let breaker = json_of(&json, "breakers");
    for (field, count) in [
        ("successes", snapshot.successes),
        ("failures", snapshot.failures),
        ("neutral", snapshot.neutral),
        ("rejections", snapshot.rejections),
        ("transitions", snapshot.transitions),
    ] {
        assert_eq!(breaker[field], count, "{field}");
    }
    let retry = json_of(&json, "retries");
    for (field, count) in [
        ("first_try_successes", retries.first_try_successes),
        ("retried_successes", retries.retried_successes),
        ("not_transient", retries.not_transient),
        ("rejected", retries.rejected),
        ("exhausted", retries.exhausted),
        ("cancelled", retries.cancelled),
        ("panicked", retries.panicked),
        ("attempts", retries.attempts),
        ("retries", retries.retries),
        ("calls", retries.calls()),
    ] {
        assert_eq!(retry[field], count, "{field}");
    }
}
