//! The workload: annotated functions, their callers, and an operator who changes settings and states.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use steadfast::{BreakerConfig, CircuitOpen, Transient, circuit_breaker, fallback, retry};
use tokio::{task, time::timeout};

const TASKS: u64 = 80_000;
pub(crate) const THREADS: u64 = 2;
const CALLS_PER_THREAD: u64 = 10_000;
/// The number of concurrent tasks.
const WAVE: u64 = 64;
/// The maximum time to wait for a task.
const HANG: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Transient)]
enum Failure {
    #[transient]
    Transient,
    Permanent,
    /// Excluded by `failure_if`.
    Ignored,
    Open,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for Failure {}

impl From<CircuitOpen> for Failure {
    fn from(_: CircuitOpen) -> Self {
        Self::Open
    }
}

/// The value of a call that a caller can use.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// The function has answered.
    Real,
    /// The fallback has answered, because the breaker has rejected the call.
    Substitute,
}

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    pub(crate) fn add(&self, name: &'static str) {
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }

    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

/// The outcomes of executed function bodies, one for each admitted attempt.
pub(crate) static BODIES: Counts = Counts::new();
/// The outcomes of calls, from the callers' point of view.
pub(crate) static CALLS: Counts = Counts::new();

/// A running function body. Its outcome is counted on drop.
struct Body {
    outcome: &'static str,
}

impl Body {
    fn begin() -> Self {
        Self { outcome: "cancelled" }
    }

    /// Ends with the outcome selected by `number`; more than half of all numbers select success.
    fn end(mut self, number: u64) -> Result<Answer, Failure> {
        let (outcome, result) = match number % 20 {
            0..5 => ("failed", Err(Failure::Transient)),
            5 => ("failed", Err(Failure::Permanent)),
            6..8 => ("ignored", Err(Failure::Ignored)),
            8 => {
                self.outcome = "panicked";
                panic!("{EXPECTED_PANIC}");
            }
            _ => ("succeeded", Ok(Answer::Real)),
        };
        self.outcome = outcome;
        result
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        BODIES.add(self.outcome);
    }
}

const EXPECTED_PANIC: &str = "a panic of the workload";

#[fallback(|_error| Ok(Answer::Substitute), if = |error: &Failure| *error == Failure::Open)]
#[retry(name = "stress", max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "stress", failure_threshold = 5, recovery_timeout = 1ms,
                  failure_if = |error: &Failure| *error != Failure::Ignored)]
async fn call_async(seed: u64) -> Result<Answer, Failure> {
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

#[fallback(|_error| Ok(Answer::Substitute), if = |error: &Failure| *error == Failure::Open)]
#[retry(name = "stress", max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "stress", failure_threshold = 5, recovery_timeout = 1ms,
                  failure_if = |error: &Failure| *error != Failure::Ignored)]
fn call(seed: u64) -> Result<Answer, Failure> {
    Body::begin().end(random(seed))
}

/// Returns a different number for each attempt (splitmix64).
fn random(seed: u64) -> u64 {
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let mut number = (seed << 32).wrapping_add(ATTEMPTS.fetch_add(1, Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ number >> 31
}

fn count_call(result: &Result<Answer, Failure>) {
    CALLS.add(match result {
        Ok(Answer::Real) => "success",
        Ok(Answer::Substitute) => "rejected",
        Err(Failure::Transient) => "transient",
        Err(Failure::Permanent | Failure::Ignored) => "not transient",
        Err(Failure::Open) => "rejected without a fallback",
    });
}

/// Starts tasks in waves and aborts those that have not ended after a few yields, including every call that never ends.
pub(crate) async fn run_tasks() {
    for wave in 0..TASKS / WAVE {
        let tasks: Vec<_> = (0..WAVE)
            .map(|index| {
                tokio::spawn(async move {
                    CALLS.add("started");
                    let result = call_async(wave * WAVE + index).await;
                    count_call(&result);
                })
            })
            .collect();
        for _ in 0..WAVE / 4 {
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

/// Makes the calls of one thread.
pub(crate) fn run_thread(seed: u64) {
    for index in 0..CALLS_PER_THREAD {
        CALLS.add("started");
        match catch_unwind(AssertUnwindSafe(|| call(seed + index))) {
            Ok(result) => count_call(&result),
            Err(_) => CALLS.add("panicked"),
        }
        // Without yielding, the thread would overflow the event queue while the delivering thread is not scheduled.
        thread::yield_now();
    }
}

/// Changes settings and overrides the state until `done`.
pub(crate) fn operate(done: &AtomicBool) {
    let breaker = steadfast::breaker("stress").unwrap();
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

/// Keeps the panics of the workload out of the output.
pub(crate) fn silence_expected_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(EXPECTED_PANIC) {
            hook(info);
        }
    }));
}
