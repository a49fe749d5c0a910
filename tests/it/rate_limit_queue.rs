//! Calls that wait for a rate limit: they queue, and may give up at any moment, but no capacity is lost and no window exceeds the limit.

mod idle_waiters;
mod load;
mod model;
mod order;
mod reconfigure;
mod store_requests;
mod store_waits;
mod stores;
mod threads;
mod wakers;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{Algorithm, RateLimit, RateLimitConfig, RateLimited};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

type Call<'l> = Pin<Box<dyn Future<Output = Result<(), RateLimited>> + Send + 'l>>;

fn limit(calls: u32, per: Duration, max_wait: Duration, algorithm: Algorithm) -> RateLimit {
    RateLimit::new("queue", RateLimitConfig::new(calls, per).max_wait(max_wait).algorithm(algorithm))
}

fn shared(calls: u32, per: Duration, max_wait: Duration, algorithm: Algorithm) -> Arc<RateLimit> {
    Arc::new(limit(calls, per, max_wait, algorithm))
}

/// Polls a future once, with a waker that does nothing.
fn poll<T>(call: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns a call that has been polled once and waits.
fn waiting(limit: &RateLimit) -> Call<'_> {
    let mut call: Call<'_> = Box::pin(limit.acquire_async());
    assert!(poll(&mut call).is_pending());
    call
}

/// Yields until all tasks that are ready have run.
async fn run_ready_tasks() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// Returns a function that generates random numbers below its argument. Equal seeds lead to equal numbers.
fn random(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

/// Returns the maximum number of `moments` in a window of length `per`. The end of a window does not belong to it.
fn most_in_a_window(moments: &[Duration], per: Duration) -> usize {
    let within = |start: &Duration| moments.iter().filter(|moment| (*start..*start + per).contains(moment)).count();
    moments.iter().map(within).max().unwrap_or(0)
}

/// Makes a call every 20 ms for a minute. Each gives up after `give_up_after`. Returns the start times of the admitted calls.
async fn under_load(limit: Arc<RateLimit>, give_up_after: Duration) -> Vec<Duration> {
    let (start, started) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    while start.elapsed() < 60 * SECOND {
        let (limit, started) = (limit.clone(), started.clone());
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout(give_up_after, limit.acquire_async()).await {
                started.lock().unwrap().push(start.elapsed());
            }
        });
        sleep(Duration::from_millis(20)).await;
    }
    let mut started = started.lock().unwrap();
    std::mem::take(&mut *started)
}
