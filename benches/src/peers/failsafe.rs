//! failsafe: a policy under a mutex.

use std::{sync::LazyLock, time::Duration};

use backon::Retryable;
use failsafe::{
    CircuitBreaker, Config, Error as Failsafe, StateMachine,
    backoff::{self, Constant},
    failure_policy::{self, ConsecutiveFailures, SuccessRateOverTimeWindow},
    futures::CircuitBreaker as AsyncCircuitBreaker,
};

use crate::{
    contestant::{IntoOutcome, Outcome},
    work::{Error, add, wait},
};

/// The settings.
pub const SETTINGS: &str = "consecutive_failures(5, constant(1 h)); no totals";
/// The settings of the time window.
pub const BY_TIME: &str = "success_rate_over_time_window(0.5, 10, 60 s, constant(1 h)), a moving average; no totals";

const HOUR: Duration = Duration::from_hours(1);

type ByFailures = StateMachine<ConsecutiveFailures<Constant>, ()>;
type ByTime = StateMachine<SuccessRateOverTimeWindow<Constant>, ()>;

/// Creates a breaker that opens for `wait` after five consecutive failures.
#[must_use]
pub fn by_failures(wait: Duration) -> ByFailures {
    Config::new().failure_policy(failure_policy::consecutive_failures(5, backoff::constant(wait))).build()
}

static CLOSED: LazyLock<ByFailures> = LazyLock::new(|| by_failures(HOUR));
static ASYNC: LazyLock<ByFailures> = LazyLock::new(|| by_failures(HOUR));
static OPEN: LazyLock<ByFailures> = LazyLock::new(|| by_failures(HOUR));
static BY_TIME_BREAKER: LazyLock<ByTime> = LazyLock::new(|| {
    let backoff = backoff::constant(HOUR);
    let policy = failure_policy::success_rate_over_time_window(0.5, 10, Duration::from_mins(1), backoff);
    Config::new().failure_policy(policy).build()
});

impl IntoOutcome for Result<u64, Failsafe<Error>> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value),
            Err(Failsafe::Inner(_)) => Outcome::Failed,
            Err(Failsafe::Rejected) => Outcome::Rejected,
        }
    }
}

/// A call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed(number: u64) -> Result<u64, Failsafe<Error>> {
    CircuitBreaker::call(&*CLOSED, || add(number))
}

/// An `async` call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed_async(number: u64) -> Result<u64, Failsafe<Error>> {
    wait(AsyncCircuitBreaker::call(&*ASYNC, async { add(number) }))
}

/// A call with a time window, closed. The breaker opens no earlier than a minute after its creation, so its opening is not checked.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_time(number: u64) -> Result<u64, Failsafe<Error>> {
    CircuitBreaker::call(&*BY_TIME_BREAKER, || add(number))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, Failsafe<Error>> {
    CircuitBreaker::call(&*OPEN, || add(number))
}

/// A call through backon and the breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn below_backon(number: u64) -> Result<u64, Failsafe<Error>> {
    static BELOW: LazyLock<ByFailures> = LazyLock::new(|| by_failures(HOUR));
    let is_transient = |error: &Failsafe<Error>| matches!(error, Failsafe::Inner(Error::Failed));
    wait(
        (|| AsyncCircuitBreaker::call(&*BELOW, async { add(number) }))
            .retry(super::backon::exponential())
            .when(is_transient),
    )
}
