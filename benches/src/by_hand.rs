//! What one would write by hand, with as little as will do: no totals, no trial calls, no events.

use std::{
    cell::Cell,
    hint::black_box,
    sync::{
        LazyLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use steadfast::Transient;

use crate::work::{Error, add, add_at_second_try, wait};

/// How the breaker is set.
pub const BREAKER: &str = "an AtomicU32 of failures in a row and the moment of the 5th: no totals, no half-open";
/// How the retry is set.
pub const RETRY: &str = "a loop of 3 attempts, 100 ms doubled, sleeping between them";

/// Nothing but the work.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn bare(number: u64) -> Result<u64, Error> {
    add(number)
}

/// The same in an `async fn`.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn bare_async(number: u64) -> Result<u64, Error> {
    async fn bare(number: u64) -> Result<u64, Error> {
        add(number)
    }
    wait(bare(number))
}

/// The work and a look at the clock, which whoever goes by time has to pay.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn clock(number: u64) -> Result<u64, Error> {
    black_box(Instant::now());
    add(number)
}

/// A breaker.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: AtomicU32,
    /// In milliseconds of the process; 0 while closed.
    opened_at: AtomicU64,
}

impl Breaker {
    const THRESHOLD: u32 = 5;
    const RECOVERY: u64 = 3_600_000;

    /// A closed one.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: AtomicU32::new(0), opened_at: AtomicU64::new(0) }
    }

    /// Whether a call may be made.
    #[inline]
    pub fn admits(&self) -> bool {
        // ORDERING: Relaxed, here and below: numbers that say nothing about other memory.
        let opened_at = self.opened_at.load(Ordering::Relaxed);
        opened_at == 0 || millis().saturating_sub(opened_at) >= Self::RECOVERY
    }

    /// Takes in how it ended.
    #[inline]
    pub fn record(&self, success: bool) {
        if !success {
            if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= Self::THRESHOLD {
                self.opened_at.store(millis(), Ordering::Relaxed);
            }
        } else if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.opened_at.store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    fn call(&self, work: impl FnOnce() -> Result<u64, Error>) -> Result<u64, Error> {
        if !self.admits() {
            return Err(Error::Rejected);
        }
        let result = work();
        self.record(result.is_ok());
        result
    }

    #[inline]
    async fn call_async(&self, work: impl AsyncFnOnce() -> Result<u64, Error>) -> Result<u64, Error> {
        if !self.admits() {
            return Err(Error::Rejected);
        }
        let result = work().await;
        self.record(result.is_ok());
        result
    }
}

fn millis() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Through a closed breaker.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn consecutive(number: u64) -> Result<u64, Error> {
    static CLOSED: Breaker = Breaker::new();
    CLOSED.call(|| add(number))
}

/// Through a closed breaker, `async`.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn consecutive_async(number: u64) -> Result<u64, Error> {
    static CLOSED: Breaker = Breaker::new();
    wait(CLOSED.call_async(async || add(number)))
}

/// At an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, Error> {
    static OPEN: Breaker = Breaker::new();
    OPEN.call(|| add(number))
}

const ATTEMPTS: u32 = 3;
const BASE: Duration = Duration::from_millis(100);

/// Retried, and it succeeds at once.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn retry(number: u64) -> Result<u64, Error> {
    let mut delay = BASE;
    for _ in 1..ATTEMPTS {
        match add(number) {
            Err(error) if error.is_transient() => thread::sleep(delay),
            result => return result,
        }
        delay *= 2;
    }
    add(number)
}

async fn retried(number: u64) -> Result<u64, Error> {
    async fn work(number: u64) -> Result<u64, Error> {
        add(number)
    }
    let mut delay = BASE;
    for _ in 1..ATTEMPTS {
        match work(number).await {
            Err(error) if error.is_transient() => tokio::time::sleep(delay).await,
            result => return result,
        }
        delay *= 2;
    }
    work(number).await
}

/// Retried, and it succeeds at once, `async`.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn retry_async(number: u64) -> Result<u64, Error> {
    wait(retried(number))
}

/// The future of a retry.
pub fn retry_future(number: u64) -> impl Future<Output = Result<u64, Error>> {
    retried(number)
}

/// Retried, and it succeeds at the second attempt.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn second_try(number: u64) -> Result<u64, Error> {
    let tried = Cell::new(false);
    for _ in 1..ATTEMPTS {
        match add_at_second_try(number, &tried) {
            Err(error) if error.is_transient() => {}
            result => return result,
        }
    }
    add_at_second_try(number, &tried)
}

/// Retried, and it succeeds at the second attempt, `async`.
///
/// # Errors
///
/// The work's.
#[inline(never)]
pub fn second_try_async(number: u64) -> Result<u64, Error> {
    async fn work(number: u64, tried: &Cell<bool>) -> Result<u64, Error> {
        add_at_second_try(number, tried)
    }
    wait(async move {
        let tried = Cell::new(false);
        for _ in 1..ATTEMPTS {
            match work(number, &tried).await {
                Err(error) if error.is_transient() => {}
                result => return result,
            }
        }
        work(number, &tried).await
    })
}

/// A retry around a breaker.
///
/// # Errors
///
/// The work's, or the rejection.
#[inline(never)]
pub fn stack_async(number: u64) -> Result<u64, Error> {
    static CLOSED: Breaker = Breaker::new();
    wait(async move {
        let mut delay = BASE;
        for _ in 1..ATTEMPTS {
            match CLOSED.call_async(async || add(number)).await {
                Err(error) if error.is_transient() => tokio::time::sleep(delay).await,
                result => return result,
            }
            delay *= 2;
        }
        CLOSED.call_async(async || add(number)).await
    })
}
