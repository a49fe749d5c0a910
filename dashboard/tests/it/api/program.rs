//! One of everything, with a breaker in each condition.

use std::{io, sync::LazyLock, time::Duration};

use steadfast::{
    Algorithm, BreakerConfig, BreakerState, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedBulkheads,
    KeyedRateLimits, Override, Permit, RateLimit, RateLimitConfig, RetryBudget, Window, circuit_breaker, fallback,
    retry, timeout,
};

use crate::{fail, succeed, wait_for};

const HOUR: Duration = Duration::from_hours(1);
const SHORT: Duration = Duration::from_millis(1);
const ONE: BreakerConfig = BreakerConfig::new().failure_threshold(1).half_open_max_calls(1).recovery_timeout(HOUR);

macro_rules! statics {
    ($($name:ident: $type:ty = $value:expr;)*) => {
        $(static $name: $type = $value; steadfast::register!($name);)*
    };
}

statics! {
    CLOSED: CircuitBreaker = CircuitBreaker::new("is closed", ONE.durations(true));
    WINDOWED: CircuitBreaker = CircuitBreaker::new(
        "has a window", BreakerConfig::new().window(Window::calls(10)).failure_rate(0.5).slow_call(HOUR));
    OPEN: CircuitBreaker = CircuitBreaker::new("is open", ONE);
    HALF_OPEN: CircuitBreaker = CircuitBreaker::new("is half-open", ONE.recovery_timeout(SHORT));
    FORCED: CircuitBreaker = CircuitBreaker::new("is forced open", ONE);
    DISABLED: CircuitBreaker = CircuitBreaker::new("is disabled", ONE);
    OBSERVING: CircuitBreaker = CircuitBreaker::new("is observing", ONE.observe_only(true));
    RAMPING: CircuitBreaker = CircuitBreaker::new("is ramping", ONE.recovery_timeout(SHORT).ramp_up(HOUR));
    HUNG: CircuitBreaker = CircuitBreaker::new("is hung", BreakerConfig::new().failure_threshold(9).hung_call(SHORT));
    HOSTS: KeyedBreakers = KeyedBreakers::new("api hosts", ONE);
    FULL: KeyedBreakers = KeyedBreakers::new("full hosts", ONE).max_keys(1);
    RATE: RateLimit = RateLimit::new("api rate", RateLimitConfig::new(2, HOUR));
    LEAKY: RateLimit = RateLimit::new("leaky rate", RateLimitConfig::new(2, HOUR).algorithm(Algorithm::Gcra).burst(1));
    RATES: KeyedRateLimits = KeyedRateLimits::new("api rates", RateLimitConfig::new(1, HOUR));
    BULKHEAD: Bulkhead = Bulkhead::new("api bulkhead", BulkheadConfig::new().max_concurrent(2).max_queue(3));
    BULKHEADS: KeyedBulkheads = KeyedBulkheads::new("api bulkheads", BulkheadConfig::new().max_concurrent(1));
}

static BUDGET: RetryBudget = RetryBudget::new().name("api budget");

#[retry(name = "api retry", max_attempts = 2, backoff = none, budget = BUDGET)]
fn retried(attempts: &mut u32) -> io::Result<()> {
    *attempts += 1;
    if *attempts > 1 { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[fallback(|_error| Ok(7))]
#[circuit_breaker(name = "has a fallback", failure_threshold = 2)]
fn guarded(works: bool) -> io::Result<u32> {
    if works { Ok(1) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[fallback(|_error| Ok(7))]
#[circuit_breaker(name = "keyed with a fallback", key = host, failure_threshold = 2)]
fn by_host(host: &str, works: bool) -> io::Result<u32> {
    if works { Ok(1) } else { Err(io::ErrorKind::TimedOut.into()) }
}

#[timeout(1h)]
async fn limited() -> io::Result<()> {
    Ok(())
}

/// The number of keys of "api hosts". The first has failed.
pub(super) const KEYS: usize = 30;

/// Makes calls of each outcome, once for all tests.
pub(super) fn run() {
    static HANGING: LazyLock<Permit<'static>> = LazyLock::new(|| {
        succeed(&CLOSED);
        fail(&WINDOWED);
        fail(&OPEN);
        OPEN.try_acquire().unwrap_err();
        fail(&HALF_OPEN);
        wait_for(|| (HALF_OPEN.state() == BreakerState::HalfOpen).then_some(()));
        FORCED.apply_override(&Override::force_open().reason("migration").expires_in(HOUR));
        DISABLED.apply_override(&Override::disable().reason("known to be flaky"));
        fail(&OBSERVING);
        succeed(&OBSERVING);
        fail(&RAMPING);
        wait_for(|| RAMPING.try_acquire().map(Permit::success).ok());
        make_keyed_calls();
        for _ in 0..3 {
            _ = RATE.try_acquire();
            _ = LEAKY.try_acquire();
        }
        drop(BULKHEAD.try_acquire().unwrap());
        retried(&mut 0).unwrap();
        for works in [true, false, false, false] {
            guarded(works).unwrap();
            by_host(if works { "works" } else { "fails" }, works).unwrap();
        }
        drop(limited());
        let hanging = HUNG.try_acquire().unwrap();
        wait_for(|| HUNG.snapshot().oldest_in_flight.filter(|age| *age >= SHORT));
        hanging
    });
    LazyLock::force(&HANGING);
}

fn make_keyed_calls() {
    for key in 0..KEYS {
        HOSTS.breaker(&format_args!("host {key:02}"));
    }
    HOSTS.breaker("host 00").try_acquire().unwrap().failure_with(&"no route to host");
    let held = FULL.breaker("the only key");
    FULL.breaker("another key").try_acquire().unwrap().failure();
    drop(held);
    for _ in 0..2 {
        _ = RATES.limit("tenant a").try_acquire();
        let permits: Vec<_> = (0..2).map(|_| BULKHEADS.bulkhead("shard a").try_acquire_owned()).collect();
        drop(permits);
    }
    RATES.limit("tenant b").try_acquire().unwrap();
}
