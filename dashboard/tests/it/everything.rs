//! One of everything that has metrics, with calls of every outcome, for the tests that compare the metrics with their reference and with the
//! queries of the board.

use std::{future, io, mem, sync::Once, time::Duration};

use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedBulkheads, KeyedRateLimits, RateLimit,
    RateLimitConfig, RetryBudget, circuit_breaker, fallback, retry, timeout,
};

use crate::{CONFIG, fail, wait_for};

const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
const LONG: BreakerConfig = CONFIG.recovery_timeout(HOUR);

/// Open: its calls are rejected.
pub(crate) static DOWN: CircuitBreaker = CircuitBreaker::new("every down", LONG.durations(true));
/// Would be open.
static OBSERVING: CircuitBreaker = CircuitBreaker::new("every observing", LONG.observe_only(true));
/// Has recovered, and admits a tenth of its calls.
static RAMPING: CircuitBreaker = CircuitBreaker::new("every ramping", CONFIG.recovery_timeout(MOMENT).ramp_up(HOUR));
static FORCED: CircuitBreaker = CircuitBreaker::new("every forced", CONFIG);
/// Has calls in flight that are hung.
static HUNG: CircuitBreaker = CircuitBreaker::new(
    "every hung",
    BreakerConfig::new().failure_threshold(1_000).hung_call(Duration::from_millis(12)),
);
/// Has open keys, and an open overflow breaker.
static KEYS: KeyedBreakers = KeyedBreakers::new("every key", LONG).max_keys(2);
static RATE: RateLimit = RateLimit::new("every rate", RateLimitConfig::new(2, HOUR));
static RATES: KeyedRateLimits = KeyedRateLimits::new("every rate of a key", RateLimitConfig::new(1, HOUR)).max_keys(1);
static BULKHEAD: Bulkhead = Bulkhead::new("every bulkhead", BulkheadConfig::new().max_concurrent(1));
static BULKHEADS: KeyedBulkheads =
    KeyedBulkheads::new("every bulkhead of a key", BulkheadConfig::new().max_concurrent(1)).max_keys(1);
/// Denies every retry.
static BUDGET: RetryBudget = RetryBudget::new().name("every budget").ratio(0.0).reserve_per_second(0);
steadfast::register!(DOWN);
steadfast::register!(OBSERVING);
steadfast::register!(RAMPING);
steadfast::register!(FORCED);
steadfast::register!(HUNG);
steadfast::register!(KEYS);
steadfast::register!(RATE);
steadfast::register!(RATES);
steadfast::register!(BULKHEAD);
steadfast::register!(BULKHEADS);
steadfast::register!(BUDGET);

#[derive(Clone, Copy)]
enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    fn result(self) -> io::Result<()> {
        match self {
            Self::Success => Ok(()),
            Self::Failure => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[retry(name = "every retry", max_attempts = 2, backoff = fixed(1ms))]
fn retried(outcome: Outcome) -> io::Result<()> {
    outcome.result()
}

#[retry(name = "every denied retry", max_attempts = 2, backoff = none, budget = BUDGET)]
fn denied() -> io::Result<()> {
    Outcome::Failure.result()
}

/// Answers by itself, by its fallback, or not at all.
#[fallback(|_error| second.result())]
#[circuit_breaker(name = "every fallback", failure_threshold = 1_000_000)]
fn with_fallback(first: Outcome, second: Outcome) -> io::Result<()> {
    _ = second;
    first.result()
}

#[timeout(1ms)]
async fn hangs() -> io::Result<()> {
    future::pending().await
}

/// Brings everything into its state, once, and makes calls of every outcome. The counters grow with each call of this function.
pub(crate) fn traffic() {
    static SETUP: Once = Once::new();
    SETUP.call_once(set_up);
    for breaker in [&DOWN, &OBSERVING, &FORCED, &RAMPING, &HUNG] {
        _ = breaker.call(|| Ok::<_, io::Error>(()));
    }
    for key in ["a", "b", "overflow"] {
        _ = KEYS.breaker(key).call(|| Outcome::Failure.result());
        _ = (RATES.limit(key).try_acquire(), RATES.limit(key).try_acquire());
        _ = BULKHEADS.bulkhead(key).try_acquire();
    }
    _ = (RATE.try_acquire(), BULKHEAD.try_acquire());
    _ = (retried(Outcome::Success), retried(Outcome::Failure), denied());
    for (first, second) in [
        (Outcome::Success, Outcome::Success),
        (Outcome::Failure, Outcome::Success),
        (Outcome::Failure, Outcome::Failure),
    ] {
        _ = with_fallback(first, second);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(hangs()).unwrap_err();
}

fn set_up() {
    for breaker in [&DOWN, &OBSERVING, &RAMPING] {
        (0..2).for_each(|_| fail(breaker));
    }
    wait_for(|| RAMPING.call(|| Ok::<_, io::Error>(())).ok());
    FORCED.force_open();
    for key in ["a", "b", "overflow"] {
        (0..2).for_each(|_| _ = KEYS.breaker(key).call(|| Outcome::Failure.result()));
        mem::forget(BULKHEADS.bulkhead(key).try_acquire());
    }
    // These permits are never released.
    mem::forget(BULKHEAD.try_acquire());
    (0..10).for_each(|_| mem::forget(HUNG.try_acquire()));
    // Hung calls are counted by the calls after them.
    wait_for(|| {
        _ = HUNG.call(|| Ok::<_, io::Error>(()));
        (HUNG.snapshot().hung > 0).then_some(())
    });
}
