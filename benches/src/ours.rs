//! The contestants of steadfast.

use std::{cell::Cell, time::Duration};

use steadfast::{
    BreakerConfig, CircuitBreaker, RetryPolicy, Schedule, Window, breaker, circuit_breaker, fallback, register, retry,
};

use crate::work::{Error, add, add_at_second_try, wait};

/// The settings of the breaker.
pub const BREAKER: &str = "failure_threshold = 5, recovery_timeout = 1h, totals kept";
/// The settings of the breaker that tracks the calls in flight.
pub const IN_FLIGHT: &str = "failure_threshold = 5, recovery_timeout = 1h, hung_call = 30s, totals kept";
/// The settings of the breaker that measures durations.
pub const DURATIONS: &str = "failure_threshold = 5, recovery_timeout = 1h, durations = true, totals kept";
/// The settings of the breaker that tracks the calls in flight and measures durations.
pub const BOTH: &str = "failure_threshold = 5, recovery_timeout = 1h, hung_call = 30s, durations = true, totals kept";
/// The settings of the count window.
pub const BY_CALLS: &str = "window = calls(100), failure_rate = 0.5, min_calls = 100, totals kept";
/// The settings of the time window.
pub const BY_TIME: &str = "window = time(60s), failure_rate = 0.5, min_calls = 10, totals kept";
/// The settings of the retry.
pub const RETRY: &str = "max_attempts = 3, exponential(base = 100ms, factor = 2, max = 30s), jitter = full";
/// The settings of the retry without a sleep.
pub const NO_SLEEP: &str = "max_attempts = 3, backoff = none";

/// The names of the breakers that count the measured calls.
pub const COUNTED: &[&str] = &[
    "attribute",
    "attribute, async",
    "called",
    "tracked",
    "tracked, attribute",
    "tracked, async",
    "timed",
    "timed, async",
    "tracked and timed",
    "by calls",
    "by time",
    "stack, async",
];

const HOUR: Duration = Duration::from_hours(1);

static CALLED: CircuitBreaker = CircuitBreaker::new("called", BreakerConfig::new().recovery_timeout(HOUR));
static UNTRACKED: CircuitBreaker = CircuitBreaker::new("untracked", BreakerConfig::new().recovery_timeout(HOUR));
static TRACKED: CircuitBreaker =
    CircuitBreaker::new("tracked", BreakerConfig::new().recovery_timeout(HOUR).hung_call(Duration::from_secs(30)));
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
register!(UNTRACKED);
register!(TRACKED);
register!(BY_CALLS_BREAKER);
register!(BY_TIME_BREAKER);

/// A call through [`CircuitBreaker::call`], closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn call(number: u64) -> Result<u64, Error> {
    CALLED.call(|| add(number))
}

/// A call through the attribute, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
#[circuit_breaker(name = "attribute", recovery_timeout = 1h)]
pub fn consecutive(number: u64) -> Result<u64, Error> {
    add(number)
}

#[circuit_breaker(name = "attribute, async", recovery_timeout = 1h)]
async fn guarded(number: u64) -> Result<u64, Error> {
    add(number)
}

/// An `async` call through the attribute, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn consecutive_async(number: u64) -> Result<u64, Error> {
    wait(guarded(number))
}

/// An `async` call through the attribute, closed, with a breaker that was never opened.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn guarded_alone(number: u64) -> Result<u64, Error> {
    #[circuit_breaker(name = "alone", recovery_timeout = 1h)]
    async fn guarded(number: u64) -> Result<u64, Error> {
        add(number)
    }
    wait(guarded(number))
}

/// A call through [`CircuitBreaker::call`], closed, with a breaker that was never opened.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn untracked(number: u64) -> Result<u64, Error> {
    UNTRACKED.call(|| add(number))
}

/// A call through [`CircuitBreaker::call`] that is tracked, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn tracked(number: u64) -> Result<u64, Error> {
    TRACKED.call(|| add(number))
}

/// A tracked call through the attribute, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
#[circuit_breaker(name = "tracked, attribute", recovery_timeout = 1h, hung_call = 30s)]
pub fn tracked_attribute(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A tracked `async` call through the attribute, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn tracked_async(number: u64) -> Result<u64, Error> {
    #[circuit_breaker(name = "tracked, async", recovery_timeout = 1h, hung_call = 30s)]
    async fn guarded(number: u64) -> Result<u64, Error> {
        add(number)
    }
    wait(guarded(number))
}

/// A call through the attribute, closed, with its duration measured.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
#[circuit_breaker(name = "timed", recovery_timeout = 1h, durations = true)]
pub fn timed(number: u64) -> Result<u64, Error> {
    add(number)
}

/// An `async` call through the attribute, closed, with its duration measured.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn timed_async(number: u64) -> Result<u64, Error> {
    #[circuit_breaker(name = "timed, async", recovery_timeout = 1h, durations = true)]
    async fn guarded(number: u64) -> Result<u64, Error> {
        add(number)
    }
    wait(guarded(number))
}

/// A call through the attribute, closed, tracked in flight and with its duration measured.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
#[circuit_breaker(name = "tracked and timed", recovery_timeout = 1h, hung_call = 30s, durations = true)]
pub fn tracked_and_timed(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A call with a window of calls, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_calls(number: u64) -> Result<u64, Error> {
    BY_CALLS_BREAKER.call(|| add(number))
}

/// A call with a window of a minute, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_time(number: u64) -> Result<u64, Error> {
    BY_TIME_BREAKER.call(|| add(number))
}

/// A call through the attribute, open.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
#[circuit_breaker(name = "open", recovery_timeout = 1h)]
pub fn open(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A retried call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
#[retry]
pub fn retried(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A call retried by [`RetryPolicy::run`] that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn run(number: u64) -> Result<u64, Error> {
    static POLICY: RetryPolicy = RetryPolicy::new();
    POLICY.run(|| add(number))
}

#[retry]
async fn retried_async_fn(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A retried `async` call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retried_async(number: u64) -> Result<u64, Error> {
    wait(retried_async_fn(number))
}

/// A retried call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try(number: u64) -> Result<u64, Error> {
    #[retry(backoff = none)]
    fn retried(number: u64, attempted: &Cell<bool>) -> Result<u64, Error> {
        add_at_second_try(number, attempted)
    }
    retried(number, &Cell::new(false))
}

/// A call retried by [`RetryPolicy::run`] that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn run_second_try(number: u64) -> Result<u64, Error> {
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    let attempted = Cell::new(false);
    POLICY.run(|| add_at_second_try(number, &attempted))
}

/// A retried `async` call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try_async(number: u64) -> Result<u64, Error> {
    #[retry(backoff = none)]
    async fn retried(number: u64, attempted: &Cell<bool>) -> Result<u64, Error> {
        add_at_second_try(number, attempted)
    }
    wait(retried(number, &Cell::new(false)))
}

/// A retry around a breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
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
/// Those of the work, or the rejection.
#[inline(never)]
pub fn stack_async(number: u64) -> Result<u64, Error> {
    wait(stack_async_fn(number))
}

/// A fallback above a breaker.
///
/// # Errors
///
/// Never: the fallback succeeds.
#[inline(never)]
#[fallback(|_error| Ok(0))]
#[circuit_breaker(name = "fallback", recovery_timeout = 1h)]
pub fn with_fallback(number: u64) -> Result<u64, Error> {
    add(number)
}

#[fallback(|_error| Ok(0))]
#[circuit_breaker(name = "fallback, async", recovery_timeout = 1h)]
async fn with_fallback_async_fn(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A fallback above a breaker, `async`.
///
/// # Errors
///
/// Never: the fallback succeeds.
#[inline(never)]
pub fn with_fallback_async(number: u64) -> Result<u64, Error> {
    wait(with_fallback_async_fn(number))
}

/// Returns the sizes of the futures of a retry, a breaker, and both.
#[must_use]
pub fn futures() -> [(&'static str, usize); 3] {
    [
        ("#[retry]", size_of_val(&retried_async_fn(0))),
        ("#[circuit_breaker]", size_of_val(&guarded(0))),
        ("both", size_of_val(&stack_async_fn(0))),
    ]
}

/// Returns the successes counted by a breaker of this file.
#[must_use]
pub fn successes(name: &str) -> Option<u64> {
    breaker(name).map(|breaker| breaker.snapshot().successes)
}
