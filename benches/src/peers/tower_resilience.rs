//! tower-resilience: tower services with a boxed future for each call. The state of the breaker is in a tokio mutex.

use std::{cell::RefCell, future::poll_fn, sync::LazyLock, task::Poll, time::Duration};

use tower::{Layer, Service};
use tower_resilience_bulkhead::{Bulkhead, BulkheadLayer, BulkheadServiceError};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier, SlidingWindowType,
};
use tower_resilience_ratelimiter::{RateLimiter, RateLimiterLayer, RateLimiterServiceError, WindowType};

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
/// The settings of the bulkhead.
pub const BULKHEAD: &str = "max_concurrent_calls(100), reject_when_full";
/// The settings of the rate limits.
pub const RATE: &str = "limit_for_period(1_000_000), refresh_period 1 ms, timeout_duration 0";

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
static BULKHEAD_SERVICE: LazyLock<Bulkhead<Work>> = LazyLock::new(bulkhead_service);
static FIXED: LazyLock<RateLimiter<Work>> = LazyLock::new(|| rate_limiter(WindowType::Fixed));
static SLIDING: LazyLock<RateLimiter<Work>> = LazyLock::new(|| rate_limiter(WindowType::SlidingLog));

#[allow(clippy::expect_used, reason = "a measurement that can't be made ends")]
fn bulkhead_service() -> Bulkhead<Work> {
    let settings = BulkheadLayer::builder().max_concurrent_calls(100).reject_when_full();
    settings.build().expect("these settings are valid").layer(Work)
}

#[allow(clippy::expect_used, reason = "a measurement that can't be made ends")]
fn rate_limiter(window: WindowType) -> RateLimiter<Work> {
    let settings = RateLimiterLayer::builder().window_type(window).limit_for_period(1_000_000);
    let settings = settings.refresh_period(Duration::from_millis(1)).timeout_duration(Duration::ZERO);
    settings.build().expect("these settings are valid").layer(Work)
}

thread_local! {
    static CLOSED_HERE: RefCell<Guarded> = RefCell::new(CLOSED.clone());
    static OPEN_HERE: RefCell<Guarded> = RefCell::new(OPEN.clone());
    static BY_CALLS_HERE: RefCell<Guarded> = RefCell::new(BY_CALLS_BREAKER.clone());
    static BY_TIME_HERE: RefCell<Guarded> = RefCell::new(BY_TIME_BREAKER.clone());
    static BULKHEAD_HERE: RefCell<Bulkhead<Work>> = RefCell::new(BULKHEAD_SERVICE.clone());
    static FIXED_HERE: RefCell<RateLimiter<Work>> = RefCell::new(FIXED.clone());
    static SLIDING_HERE: RefCell<RateLimiter<Work>> = RefCell::new(SLIDING.clone());
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

impl IntoOutcome for Result<u64, BulkheadServiceError<Error>> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value),
            Err(BulkheadServiceError::Inner(_)) => Outcome::Failed,
            Err(BulkheadServiceError::Bulkhead(_)) => Outcome::Rejected,
        }
    }
}

impl IntoOutcome for Result<u64, RateLimiterServiceError<Error>> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value),
            Err(RateLimiterServiceError::Inner(_)) => Outcome::Failed,
            Err(RateLimiterServiceError::RateLimited) => Outcome::Rejected,
        }
    }
}

/// A call through the given service.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline]
pub fn call<S: Service<u64, Response = u64>>(service: &mut S, number: u64) -> Result<u64, S::Error> {
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
    CLOSED_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}

/// A call with a count window, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_calls(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    BY_CALLS_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}

/// A call with a time window, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_time(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    BY_TIME_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, CircuitBreakerError<Error>> {
    OPEN_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}

/// A call through a bulkhead with a free permit.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn bulkhead(number: u64) -> Result<u64, BulkheadServiceError<Error>> {
    BULKHEAD_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}

/// A call admitted by a fixed window.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn fixed_rate(number: u64) -> Result<u64, RateLimiterServiceError<Error>> {
    FIXED_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}

/// A call admitted by a sliding window.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn sliding_rate(number: u64) -> Result<u64, RateLimiterServiceError<Error>> {
    SLIDING_HERE.with(|service| call(&mut *service.borrow_mut(), number))
}
