//! circuitbreaker-rs: counts all calls in atomics that all threads share, and reads the clock twice for each call.

use std::{sync::LazyLock, time::Duration};

use circuitbreaker_rs::{BreakerError, CircuitBreaker, DefaultPolicy};

use crate::{
    contestant::{IntoOutcome, Outcome},
    work::{Error, add},
};

/// The settings.
pub const SETTINGS: &str = "consecutive_failures 5, min_throughput u64::MAX (no rate), cooldown 1 h; totals kept";

type Breaker = CircuitBreaker<DefaultPolicy, Error>;

/// Creates a breaker that opens for `cooldown` after five consecutive failures.
#[must_use]
pub fn breaker(cooldown: Duration) -> Breaker {
    CircuitBreaker::<DefaultPolicy, Error>::builder()
        .consecutive_failures(5)
        .consecutive_successes(3)
        .probe_interval(3)
        .min_throughput(u64::MAX)
        .cooldown(cooldown)
        .build()
}

static CLOSED: LazyLock<Breaker> = LazyLock::new(|| breaker(Duration::from_hours(1)));
static OPEN: LazyLock<Breaker> = LazyLock::new(|| breaker(Duration::from_hours(1)));

impl IntoOutcome for Result<u64, BreakerError<Error>> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value),
            Err(BreakerError::Operation(_)) => Outcome::Failed,
            Err(_) => Outcome::Rejected,
        }
    }
}

/// A call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed(number: u64) -> Result<u64, BreakerError<Error>> {
    CLOSED.call(|| add(number))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, BreakerError<Error>> {
    OPEN.call(|| add(number))
}
