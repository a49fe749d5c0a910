//! Minimal handwritten breakers and retries: no totals, no half-open limit, no events.

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

use steadfast::Transient as _;

use crate::work::{Error, add, add_at_second_try, wait};

/// The settings of the breaker.
pub const BREAKER: &str = "an AtomicU32 of consecutive failures and the time of the 5th: no totals, no half-open";
/// The settings of the retry.
pub const RETRY: &str = "a loop of 3 attempts, 100 ms doubled, sleeping between them";

/// The bare work.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn bare(number: u64) -> Result<u64, Error> {
    add(number)
}

/// The bare work in an `async fn`.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn bare_async(number: u64) -> Result<u64, Error> {
    async fn bare(number: u64) -> Result<u64, Error> {
        add(number)
    }
    wait(bare(number))
}

/// The bare work and a clock read, which is the minimum cost of a call that depends on time.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn clock(number: u64) -> Result<u64, Error> {
    black_box(Instant::now());
    add(number)
}

/// The bare work between two clock reads, which is the minimum cost of a call whose duration is measured.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn two_clocks(number: u64) -> Result<u64, Error> {
    let start = Instant::now();
    let result = add(black_box(number));
    black_box(start.elapsed());
    result
}

/// A breaker.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: AtomicU32,
    /// Milliseconds since the start of the process; 0 while closed.
    opened_at: AtomicU64,
}

impl Breaker {
    const THRESHOLD: u32 = 5;
    const RECOVERY: u64 = 3_600_000;

    /// Creates a closed breaker.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: AtomicU32::new(0), opened_at: AtomicU64::new(0) }
    }

    /// Returns true if a call may be made.
    #[inline]
    pub fn admits(&self) -> bool {
        // ORDERING: Relaxed, here and below: the numbers guard no other memory.
        let opened_at = self.opened_at.load(Ordering::Relaxed);
        opened_at == 0 || millis().saturating_sub(opened_at) >= Self::RECOVERY
    }

    /// Records the outcome of a call.
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

    /// Makes a call.
    ///
    /// # Errors
    ///
    /// Those of the work, or the rejection.
    #[inline]
    pub fn call<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        if !self.admits() {
            return Err(Error::Rejected);
        }
        let result = work();
        self.record(result.is_ok());
        result
    }

    /// Makes an `async` call.
    ///
    /// # Errors
    ///
    /// Those of the work, or the rejection.
    #[inline]
    pub async fn call_async<T>(&self, work: impl AsyncFnOnce() -> Result<T, Error>) -> Result<T, Error> {
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

/// A call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn consecutive(number: u64) -> Result<u64, Error> {
    static CLOSED: Breaker = Breaker::new();
    CLOSED.call(|| add(number))
}

/// An `async` call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn consecutive_async(number: u64) -> Result<u64, Error> {
    static CLOSED: Breaker = Breaker::new();
    wait(CLOSED.call_async(async || add(number)))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, Error> {
    static OPEN: Breaker = Breaker::new();
    OPEN.call(|| add(number))
}

/// The number of attempts.
pub const ATTEMPTS: u32 = 3;
/// The delay before the second attempt.
pub const BASE: Duration = Duration::from_millis(100);

/// Makes up to three attempts. A macro and not a function, since a closure would add 40 instructions to an `async` call.
macro_rules! attempts {
    ($work:expr, |$delay:ident| $sleep:expr) => {
        'attempts: {
            let mut $delay = $crate::by_hand::BASE;
            for _ in 1..$crate::by_hand::ATTEMPTS {
                match $work {
                    Err(error) if steadfast::Transient::is_transient(&error) => $sleep,
                    result => break 'attempts result,
                }
                $delay *= 2;
            }
            $work
        }
    };
}
#[cfg(feature = "peers")]
pub(crate) use attempts;

/// A retried call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retry(number: u64) -> Result<u64, Error> {
    attempts!(add(number), |delay| thread::sleep(delay))
}

/// A retried `async` call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retry_async(number: u64) -> Result<u64, Error> {
    wait(retry_future(number))
}

/// Returns the future of a retried call.
pub async fn retry_future(number: u64) -> Result<u64, Error> {
    async fn work(number: u64) -> Result<u64, Error> {
        add(number)
    }
    attempts!(work(number).await, |delay| tokio::time::sleep(delay).await)
}

/// A retried call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try(number: u64) -> Result<u64, Error> {
    let attempted = Cell::new(false);
    for _ in 1..ATTEMPTS {
        match add_at_second_try(number, &attempted) {
            Err(error) if error.is_transient() => {}
            result => return result,
        }
    }
    add_at_second_try(number, &attempted)
}

/// A retried `async` call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try_async(number: u64) -> Result<u64, Error> {
    async fn work(number: u64, attempted: &Cell<bool>) -> Result<u64, Error> {
        add_at_second_try(number, attempted)
    }
    wait(async move {
        let attempted = Cell::new(false);
        for _ in 1..ATTEMPTS {
            match work(number, &attempted).await {
                Err(error) if error.is_transient() => {}
                result => return result,
            }
        }
        work(number, &attempted).await
    })
}

/// A retry around a breaker, `async`.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn stack_async(number: u64) -> Result<u64, Error> {
    static CLOSED: Breaker = Breaker::new();
    wait(async { attempts!(CLOSED.call_async(async || add(number)).await, |delay| tokio::time::sleep(delay).await) })
}
