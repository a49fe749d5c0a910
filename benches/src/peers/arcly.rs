//! arcly-http's breaker: a const static that keeps no totals and does nothing at all on a success.

use std::time::Duration;

use arcly_http_core::resilience::{BreakerOpen, CircuitBreaker};

use crate::{
    contest::{Answer, Answered},
    work::{Error, add, wait},
};

/// How it is set.
pub const SETTINGS: &str = "threshold 5 (of all failures, not of those in a row), cooldown 1 h; no totals; async only";

static CLOSED: CircuitBreaker = CircuitBreaker::const_new(5, 3_600_000);
static OPEN: CircuitBreaker = CircuitBreaker::const_new(5, 3_600_000);

impl Answered for Result<Result<u64, Error>, BreakerOpen> {
    #[inline]
    fn answer(self) -> Answer {
        match self {
            Ok(Ok(value)) => Answer::Value(value),
            Ok(Err(_)) => Answer::Failed,
            Err(BreakerOpen) => Answer::Rejected,
        }
    }
}

/// Closed.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn closed(number: u64) -> Result<Result<u64, Error>, BreakerOpen> {
    wait(CLOSED.execute(|| async move { add(number) }))
}

/// Open.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<Result<u64, Error>, BreakerOpen> {
    wait(OPEN.execute(|| async move { add(number) }))
}

/// One that opens after five failures, for so long.
#[must_use]
pub fn breaker(cooldown: Duration) -> CircuitBreaker {
    CircuitBreaker::new(5, cooldown)
}
