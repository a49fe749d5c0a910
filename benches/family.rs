//! Overhead of a timeout, a bulkhead, a rate limit and a fallback for a successful call, next to handwritten equivalents: tokio's
//! `timeout` and `Semaphore`, and governor. Run with `cargo bench -p steadfast-benches --features peers --bench family`.
//!
//! A plain call is ready at its first poll; the `_yields` variants are pending once.

#![allow(clippy::unused_async, clippy::missing_docs_in_private_items, reason = "measured functions")]

use std::{
    future::Future,
    hint::black_box,
    io,
    num::NonZeroU32,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use divan::Bencher;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use steadfast::{
    Algorithm, Bulkhead, BulkheadConfig, RateLimit, RateLimitConfig, bulkhead, fallback, rate_limit, register, timeout,
};
use tokio::sync::Semaphore;

fn main() {
    divan::main();
}

const CALLS: u32 = 1_000;
const PER: Duration = Duration::from_millis(1);
/// So high that the calls of a millisecond never reach it and every call is admitted. The sliding window keeps one entry for each
/// call in it.
const LIMIT: u32 = 1_000_000;

/// Adds 1, ready at once.
async fn bare(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

/// Like [`bare`], but yields once first.
async fn bare_yields(number: u64) -> io::Result<u64> {
    tokio::task::yield_now().await;
    bare(number).await
}

#[timeout(10s)]
async fn timeout_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

#[timeout(10s)]
async fn timeout_by_attribute_yields(number: u64) -> io::Result<u64> {
    tokio::task::yield_now().await;
    bare(number).await
}

async fn timeout_by_hand(number: u64) -> io::Result<u64> {
    tokio::time::timeout(Duration::from_secs(10), bare(number)).await?
}

async fn timeout_by_hand_yields(number: u64) -> io::Result<u64> {
    tokio::time::timeout(Duration::from_secs(10), bare_yields(number)).await?
}

#[fallback(fallback_value)]
async fn fallback_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

async fn fallback_by_hand(number: u64) -> io::Result<u64> {
    match bare(number).await {
        Ok(number) => Ok(number),
        Err(_) => fallback_value(number).await,
    }
}

#[cold]
async fn fallback_value(number: u64) -> io::Result<u64> {
    Ok(number)
}

static POOL: Bulkhead = Bulkhead::new("measured", BulkheadConfig::new().max_concurrent(100));
register!(POOL);
static SEMAPHORE: Semaphore = Semaphore::const_new(100);

#[bulkhead(bulkhead = POOL)]
async fn bulkhead_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

async fn bulkhead_by_hand(number: u64) -> io::Result<u64> {
    let _permit = SEMAPHORE.try_acquire().map_err(io::Error::other)?;
    bare(number).await
}

static WINDOW: RateLimit = RateLimit::new("window", RateLimitConfig::new(LIMIT, PER));
static GCRA: RateLimit = RateLimit::new("gcra", RateLimitConfig::new(LIMIT, PER).algorithm(Algorithm::Gcra));
static GOVERNOR: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| RateLimiter::direct(quota()));
static GOVERNOR_KEYED: LazyLock<DefaultKeyedRateLimiter<String>> = LazyLock::new(|| RateLimiter::keyed(quota()));

/// A million calls per millisecond.
fn quota() -> Quota {
    let burst = NonZeroU32::new(LIMIT).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(PER / LIMIT).map_or_else(|| Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

#[rate_limit(rate_limit = WINDOW)]
async fn window_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

#[rate_limit(rate_limit = GCRA)]
async fn gcra_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

#[rate_limit(name = "measured keys", limit = 1_000_000, per = 1ms, key = KEY)]
async fn keyed_window_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

const KEY: &str = "a.example.org";

async fn governor_by_hand(number: u64) -> io::Result<u64> {
    GOVERNOR.check().map_err(|_| io::ErrorKind::ResourceBusy)?;
    bare(number).await
}

async fn keyed_governor_by_hand(number: u64) -> io::Result<u64> {
    let key = KEY.to_owned();
    GOVERNOR_KEYED.check_key(&key).map_err(|_| io::ErrorKind::ResourceBusy)?;
    bare(number).await
}

/// Measures a thousand calls, in a runtime whose timer never fires.
fn measure<F: Future<Output = io::Result<u64>>>(bencher: Bencher<'_, '_>, call: impl Fn(u64) -> F + Sync) {
    bencher.counter(CALLS).bench(|| {
        RUNTIME.with(|runtime| {
            let _entered = runtime.enter();
            let mut context = Context::from_waker(Waker::noop());
            let mut sum = 0;
            for number in 0..u64::from(CALLS) {
                let mut call = std::pin::pin!(call(number));
                loop {
                    if let Poll::Ready(result) = call.as_mut().poll(&mut context) {
                        sum += result.unwrap_or(0);
                        break;
                    }
                }
            }
            sum
        })
    });
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap_or_else(|error| panic!("{error}"));
}

macro_rules! benches {
    ($($name:ident),*) => { $(
        #[divan::bench(name = stringify!($name), threads = [1, 2], sample_count = 200)]
        fn $name(bencher: Bencher<'_, '_>) {
            measure(bencher, super::$name);
        }
    )* };
}

mod measured {
    use divan::Bencher;

    use super::measure;

    benches! {
        bare, bare_yields, timeout_by_attribute, timeout_by_hand, timeout_by_attribute_yields, timeout_by_hand_yields,
        fallback_by_attribute, fallback_by_hand, bulkhead_by_attribute, bulkhead_by_hand, window_by_attribute,
        gcra_by_attribute, governor_by_hand, keyed_window_by_attribute, keyed_governor_by_hand
    }
}
