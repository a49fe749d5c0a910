//! What a timeout, a bulkhead, a rate limit and a fallback cost a call that succeeds, beside what one would write by hand: tokio's
//! `timeout` and `Semaphore`, and governor: `cargo bench -p steadfast-benches --features peers --bench family`.
//!
//! A call that is ready at once never waits; one that yields does, once.

#![allow(clippy::unused_async, clippy::missing_docs_in_private_items, reason = "what is measured")]

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
/// Never reached by the calls of a millisecond, so that every call is admitted; kept by a window of as many places as there are
/// calls in it.
const LIMIT: u32 = 1_000_000;

/// Adds 1, ready at once.
async fn bare(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

/// The same, and gives the others a turn first.
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

#[fallback(instead)]
async fn fallback_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

async fn fallback_by_hand(number: u64) -> io::Result<u64> {
    match bare(number).await {
        Ok(number) => Ok(number),
        Err(_) => instead(number).await,
    }
}

#[cold]
async fn instead(number: u64) -> io::Result<u64> {
    Ok(number)
}

static PLACES: Bulkhead = Bulkhead::new("measured", BulkheadConfig::new().max_concurrent(100));
register!(PLACES);
static SEMAPHORE: Semaphore = Semaphore::const_new(100);

#[bulkhead(bulkhead = PLACES)]
async fn bulkhead_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

async fn bulkhead_by_hand(number: u64) -> io::Result<u64> {
    let _permit = SEMAPHORE.try_acquire().map_err(io::Error::other)?;
    bare(number).await
}

static WINDOW: RateLimit = RateLimit::new("window", RateLimitConfig::new(LIMIT, PER));
static BUCKET: RateLimit = RateLimit::new("bucket", RateLimitConfig::new(LIMIT, PER).algorithm(Algorithm::Gcra));
static GOVERNOR: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| RateLimiter::direct(quota()));
static GOVERNOR_KEYED: LazyLock<DefaultKeyedRateLimiter<String>> = LazyLock::new(|| RateLimiter::keyed(quota()));

/// A million in a millisecond.
fn quota() -> Quota {
    let burst = NonZeroU32::new(LIMIT).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(PER / LIMIT).map_or_else(|| Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

#[rate_limit(rate_limit = WINDOW)]
async fn window_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

#[rate_limit(rate_limit = BUCKET)]
async fn bucket_by_attribute(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

#[rate_limit(name = "measured keys", limit = 1_000_000, per = 1ms, key = KEY)]
async fn window_of_a_key(number: u64) -> io::Result<u64> {
    Ok(black_box(number) + 1)
}

const KEY: &str = "a.example.org";

async fn governor_by_hand(number: u64) -> io::Result<u64> {
    GOVERNOR.check().map_err(|_| io::ErrorKind::ResourceBusy)?;
    bare(number).await
}

async fn governor_of_a_key(number: u64) -> io::Result<u64> {
    let key = KEY.to_owned();
    GOVERNOR_KEYED.check_key(&key).map_err(|_| io::ErrorKind::ResourceBusy)?;
    bare(number).await
}

/// Calls a thousand times, in a runtime whose timer never fires.
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
        bucket_by_attribute, governor_by_hand, window_of_a_key, governor_of_a_key
    }
}
