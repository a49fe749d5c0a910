//! tower-resilience-circuitbreaker: a tower service with a tokio mutex and a boxed future for each call.

use std::{cell::RefCell, future::poll_fn, sync::LazyLock, task::Poll, time::Duration};

use tower::{Layer, Service};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier, SlidingWindowType,
};

use crate::{
    contestant::{IntoOutcome, Outcome},
    work::{Error, add, wait},
};

/// The settings.
pub const SETTINGS: &str =
    "consecutive_failures(5), wait_duration_in_open 1 h; a clone of the service for each thread; keeps a window of 100";
/// The settings of the count window.
pub const BY_CALLS: &str = "sliding_window_size(100), failure_rate_threshold(0.5), minimum_number_of_calls(100)";
/// The settings of the time window.
pub const BY_TIME: &str =
    "TimeBased, sliding_window_duration(60 s), failure_rate_threshold(0.5), minimum_number_of_calls(10)";

/// The work as a service.
#[derive(Clone, Copy, Debug)]
pub struct Work;

impl Service<u64> for Work {
    type Response = u64;
    type Error = Error;
    type Future = std::future::Ready<Result<u64, Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, number: u64) -> Self::Future {
        std::future::ready(add(number))
    }
}

/// The work behind a breaker.
pub type Guarded = CircuitBreaker<Work, DefaultClassifier>;

const HOUR: Duration = Duration::from_hours(1);

/// Creates a layer whose circuit opens for `wait` after five consecutive failures.
///
/// # Panics
///
/// Panics if the settings are invalid.
#[must_use]
#[allow(clippy::expect_used, reason = "a measurement that can't be made ends")]
pub fn layer(wait: Duration) -> CircuitBreakerLayer<DefaultClassifier> {
    let settings = CircuitBreakerLayer::builder().consecutive_failures(5).wait_duration_in_open(wait);
    settings.permitted_calls_in_half_open(3).build().expect("these settings are valid")
}

#[allow(clippy::expect_used, reason = "a measurement that can't be made ends")]
fn by_rate(window: SlidingWindowType, calls: usize) -> Guarded {
    let settings = CircuitBreakerLayer::builder()
        .sliding_window_type(window)
        .sliding_window_size(100)
        .sliding_window_duration(Duration::from_mins(1))
        .failure_rate_threshold(0.5)
        .minimum_number_of_calls(calls)
        .wait_duration_in_open(HOUR);
    settings.build().expect("these settings are valid").layer(Work)
}

static CLOSED: LazyLock<Guarded> = LazyLock::new(|| layer(HOUR).layer(Work));
static OPEN: LazyLock<Guarded> = LazyLock::new(|| layer(HOUR).layer(Work));
static BY_CALLS_BREAKER: LazyLock<Guarded> = LazyLock::new(|| by_rate(SlidingWindowType::CountBased, 100));
static BY_TIME_BREAKER: LazyLock<Guarded> = LazyLock::new(|| by_rate(SlidingWindowType::TimeBased, 10));

thread_local! {
    static CLOSED_HERE: RefCell<Guarded> = RefCell::new(CLOSED.clone());
    static OPEN_HERE: RefCell<Guarded> = RefCell::new(OPEN.clone());
    static BY_CALLS_HERE: RefCell<Guarded> = RefCell::new(BY_CALLS_BREAKER.clone());
    static BY_TIME_HERE: RefCell<Guarded> = RefCell::new(BY_TIME_BREAKER.clone());
}

impl IntoOutcome for Result<u64, CircuitBreakerError<Error>> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value),
            Err(CircuitBreakerError::Inner(_)) => Outcome::Failed,
            Err(CircuitBreakerError::OpenCircuit) => Outcome::Rejected,
        }
    }
}

/// A call through the given service.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline]
pub fn call(service: &mut Guarded, number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    wait(async {
        poll_fn(|context| service.poll_ready(context)).await?;
        service.call(number).await
    })
}

/// A call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    CLOSED_HERE.with(|service| call(&mut service.borrow_mut(), number))
}

/// A call with a count window, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_calls(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    BY_CALLS_HERE.with(|service| call(&mut service.borrow_mut(), number))
}

/// A call with a time window, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_time(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    BY_TIME_HERE.with(|service| call(&mut service.borrow_mut(), number))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    OPEN_HERE.with(|service| call(&mut service.borrow_mut(), number))
}
