//! arcly-http's breaker: a static with a `const` constructor, which keeps no totals and does nothing on a success.

use std::time::Duration;

use arcly_http_core::resilience::{BreakerOpen, CircuitBreaker};

use crate::{
    contestant::{IntoOutcome, Outcome},
    work::{Error, add, wait},
};

/// The settings.
pub const SETTINGS: &str = "threshold 5 (of all failures, not consecutive ones), cooldown 1 h; no totals; async only";

static CLOSED: CircuitBreaker = CircuitBreaker::const_new(5, 3_600_000);
static OPEN: CircuitBreaker = CircuitBreaker::const_new(5, 3_600_000);

impl IntoOutcome for Result<Result<u64, Error>, BreakerOpen> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(Ok(value)) => Outcome::Value(value),
            Ok(Err(_)) => Outcome::Failed,
            Err(BreakerOpen) => Outcome::Rejected,
        }
    }
}

/// A call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed(number: u64) -> Result<Result<u64, Error>, BreakerOpen> {
    wait(CLOSED.execute(|| async move { add(number) }))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<Result<u64, Error>, BreakerOpen> {
    wait(OPEN.execute(|| async move { add(number) }))
}

/// Creates a breaker that opens for `cooldown` after five failures.
#[must_use]
pub fn breaker(cooldown: Duration) -> CircuitBreaker {
    CircuitBreaker::new(5, cooldown)
}
