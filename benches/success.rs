//! The path of a success: a closed breaker, a first attempt that succeeds. `cargo bench -p steadfast-benches`
//!
//! Each sample makes 1,000 calls, so a microsecond of a sample is a nanosecond of a call.

use std::{hint::black_box, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen, Transient, Window, breaker, circuit_breaker, retry};

/// Without a field, so that what is returned fits into registers and does not drown what is measured.
#[derive(Debug, Transient)]
#[transient]
struct Error;

impl From<CircuitOpen> for Error {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

const CALLS: u64 = 1_000;

const fn add(number: u64) -> Result<u64, Error> {
    match number.checked_add(1) {
        Some(sum) => Ok(sum),
        None => Err(Error),
    }
}

#[inline(never)]
fn bare(number: u64) -> Result<u64, Error> {
    add(number)
}

static MANUAL: CircuitBreaker = CircuitBreaker::new("manual", BreakerConfig::new());

#[inline(never)]
fn through_a_breaker(number: u64) -> Result<u64, Error> {
    MANUAL.call(|| add(number))
}

static BY_CALLS: CircuitBreaker = CircuitBreaker::new("by calls", BreakerConfig::new().window(Window::calls(100)));

#[inline(never)]
fn by_calls(number: u64) -> Result<u64, Error> {
    BY_CALLS.call(|| add(number))
}

static BY_TIME: CircuitBreaker =
    CircuitBreaker::new("by time", BreakerConfig::new().window(Window::time(Duration::from_mins(1))));

#[inline(never)]
fn by_time(number: u64) -> Result<u64, Error> {
    BY_TIME.call(|| add(number))
}

static SLOW_CALLS: CircuitBreaker = CircuitBreaker::new(
    "slow calls",
    BreakerConfig::new().window(Window::calls(100)).slow_call(Duration::from_secs(2)),
);

#[inline(never)]
fn with_slow_calls(number: u64) -> Result<u64, Error> {
    SLOW_CALLS.call(|| add(number))
}

#[inline(never)]
#[circuit_breaker(name = "attribute")]
fn with_circuit_breaker(number: u64) -> Result<u64, Error> {
    add(number)
}

#[inline(never)]
#[retry]
fn with_retry(number: u64) -> Result<u64, Error> {
    add(number)
}

#[inline(never)]
#[retry]
#[circuit_breaker(name = "stack")]
fn with_both(number: u64) -> Result<u64, Error> {
    add(number)
}

type Call = fn(u64) -> Result<u64, Error>;

#[divan::bench(
    threads = [1, 2],
    sample_count = 2_000,
    args = [
        ("1 bare", bare as Call),
        ("2 CircuitBreaker::call", through_a_breaker),
        ("3 #[circuit_breaker]", with_circuit_breaker),
        ("4 #[retry]", with_retry),
        ("5 both", with_both),
        ("6 window of calls", by_calls),
        ("7 window of time", by_time),
        ("8 slow calls", with_slow_calls),
    ].map(Named),
)]
fn success(bencher: Bencher<'_, '_>, Named((_, call)): Named) {
    bencher.counter(ItemsCount::new(CALLS)).bench(|| {
        for number in 0..CALLS {
            _ = black_box(call(black_box(number)));
        }
    });
}

/// A function under the name that the table shows.
#[derive(Clone, Copy)]
struct Named((&'static str, Call));

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.0)
    }
}

fn main() {
    divan::main();
    // The calls were made, and counted: what was measured is what was meant.
    for name in ["attribute", "stack"] {
        let snapshot = breaker(name).map(CircuitBreaker::snapshot);
        assert!(snapshot.is_some_and(|snapshot| snapshot.successes % CALLS == 0), "{name}");
    }
}
