//! steadfast's own.

use std::{cell::Cell, time::Duration};

use steadfast::{
    BreakerConfig, CircuitBreaker, RetryPolicy, Schedule, Window, breaker, circuit_breaker, register, retry,
};

use crate::work::{Error, add, add_at_second_try, wait};

/// How the breaker is set.
pub const BREAKER: &str = "failure_threshold = 5, recovery_timeout = 1h, totals kept";
/// How the window of calls is set.
pub const BY_CALLS: &str = "window = calls(100), failure_rate = 0.5, min_calls = 100, totals kept";
/// How the window of time is set.
pub const BY_TIME: &str = "window = time(60s), failure_rate = 0.5, min_calls = 10, totals kept";
/// How the retry is set.
pub const RETRY: &str = "max_attempts = 3, exponential(base = 100ms, factor = 2, max = 30s), jitter = full";
/// How the retry without a sleep is set.
pub const NO_SLEEP: &str = "max_attempts = 3, backoff = none";

/// The breakers that count the calls of a run, by name.
pub const COUNTED: &[&str] = &["attribute", "attribute, async", "called", "by calls", "by time", "stack, async"];

const HOUR: Duration = Duration::from_hours(1);

static CALLED: CircuitBreaker = CircuitBreaker::new("called", BreakerConfig::new().recovery_timeout(HOUR));
static BY_CALLS_BREAKER: CircuitBreaker = CircuitBreaker::new(
    "by calls",
    BreakerConfig::new().window(Window::calls(100)).failure_rate(0.5).min_calls(100).recovery_timeout(HOUR),
);
static BY_TIME_BREAKER: CircuitBreaker = CircuitBreaker::new(
    "by time",
    BreakerConfig::new()
        .window(Window::time(Duration::from_mins(1)))
        .failure_rate(0.5)
        .min_calls(10)
        .recovery_timeout(HOUR),
);
register!(CALLED);
register!(BY_CALLS_BREAKER);
register!(BY_TIME_BREAKER);

/// Through [`CircuitBreaker::call`], closed.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn call(number: u64) -> Result<u64, Error> {
    CALLED.call(|| add(number))
}

/// With the attribute, closed.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
#[circuit_breaker(name = "attribute", recovery_timeout = 1h)]
pub fn consecutive(number: u64) -> Result<u64, Error> {
    add(number)
}

#[circuit_breaker(name = "attribute, async", recovery_timeout = 1h)]
async fn guarded(number: u64) -> Result<u64, Error> {
    add(number)
}

/// With the attribute, closed, `async`.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn consecutive_async(number: u64) -> Result<u64, Error> {
    wait(guarded(number))
}

/// The same once more, with a breaker that nothing has opened.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn guarded_alone(number: u64) -> Result<u64, Error> {
    #[circuit_breaker(name = "alone", recovery_timeout = 1h)]
    async fn guarded(number: u64) -> Result<u64, Error> {
        add(number)
    }
    wait(guarded(number))
}

/// By the calls of late, closed.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn by_calls(number: u64) -> Result<u64, Error> {
    BY_CALLS_BREAKER.call(|| add(number))
}

/// By the calls of the last minute, closed.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn by_time(number: u64) -> Result<u64, Error> {
    BY_TIME_BREAKER.call(|| add(number))
}

/// With the attribute, open.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
#[circuit_breaker(name = "open", recovery_timeout = 1h)]
pub fn open(number: u64) -> Result<u64, Error> {
    add(number)
}

/// Retried, and it succeeds at once.
///
/// # Errors
///
/// The work's.
#[inline(never)]
#[retry]
pub fn retried(number: u64) -> Result<u64, Error> {
    add(number)
}

/// Retried by [`RetryPolicy::run`], and it succeeds at once.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn run(number: u64) -> Result<u64, Error> {
    static POLICY: RetryPolicy = RetryPolicy::new();
    POLICY.run(|| add(number))
}

#[retry]
async fn retried_async_fn(number: u64) -> Result<u64, Error> {
    add(number)
}

/// Retried, and it succeeds at once, `async`.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn retried_async(number: u64) -> Result<u64, Error> {
    wait(retried_async_fn(number))
}

/// Retried, and it succeeds at the second attempt.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn second_try(number: u64) -> Result<u64, Error> {
    #[retry(backoff = none)]
    fn retried(number: u64, tried: &Cell<bool>) -> Result<u64, Error> {
        add_at_second_try(number, tried)
    }
    retried(number, &Cell::new(false))
}

/// Retried by [`RetryPolicy::run`], and it succeeds at the second attempt.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn run_second_try(number: u64) -> Result<u64, Error> {
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    let tried = Cell::new(false);
    POLICY.run(|| add_at_second_try(number, &tried))
}

/// Retried, and it succeeds at the second attempt, `async`.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn second_try_async(number: u64) -> Result<u64, Error> {
    #[retry(backoff = none)]
    async fn retried(number: u64, tried: &Cell<bool>) -> Result<u64, Error> {
        add_at_second_try(number, tried)
    }
    wait(retried(number, &Cell::new(false)))
}

/// A retry around a breaker.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
#[retry]
#[circuit_breaker(name = "stack", recovery_timeout = 1h)]
pub fn stack(number: u64) -> Result<u64, Error> {
    add(number)
}

#[retry]
#[circuit_breaker(name = "stack, async", recovery_timeout = 1h)]
async fn stack_async_fn(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A retry around a breaker, `async`.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn stack_async(number: u64) -> Result<u64, Error> {
    wait(stack_async_fn(number))
}

/// The futures of a retry, a breaker, and both.
#[must_use]
pub fn futures() -> [(&'static str, usize); 3] {
    [
        ("#[retry]", size_of_val(&retried_async_fn(0))),
        ("#[circuit_breaker]", size_of_val(&guarded(0))),
        ("both", size_of_val(&stack_async_fn(0))),
    ]
}

/// How many successes a breaker of this file has counted.
#[must_use]
pub fn successes(name: &str) -> Option<u64> {
    breaker(name).map(|breaker| breaker.snapshot().successes)
}
