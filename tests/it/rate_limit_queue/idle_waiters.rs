//! Idle waiters, which are no longer polled. They delay other calls for a bounded time, whatever their number.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use steadfast::{Algorithm, RateLimit, RateLimitConfig};
use tokio::time::{Instant, advance, sleep};

use super::{ALGORITHMS, Call, SECOND, limit, poll, run_ready_tasks, stores::WindowStore, waiting};

/// The maximum delay that idle waiters cause.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Returns waiters that have been polled once and are not polled again.
fn idle(limit: &RateLimit, count: usize) -> Vec<Call<'_>> {
    (0..count).map(|_| waiting(limit)).collect()
}

#[tokio::test(start_paused = true)]
async fn any_number_of_idle_waiters_delays_the_next_call_for_a_bounded_time() {
    for algorithm in ALGORITHMS {
        for count in [1, 5, 20, 100, 1_000] {
            let limit = limit(1, 10 * SECOND, 90_000 * SECOND, algorithm);
            let start = Instant::now();
            limit.acquire_async().await.unwrap();
            let calls = idle(&limit, count);
            limit.acquire_async().await.unwrap();
            let delay = start.elapsed().checked_sub(10 * SECOND).expect("not before the window has elapsed");
            assert!(delay <= MAX_DELAY, "{algorithm:?}: {count} idle waiters: {delay:?} late");
            // The idle waiters have kept their places in the queue, ahead of a new waiter.
            let mut last = waiting(&limit);
            for call in calls.into_iter().take(5) {
                call.await.unwrap();
                assert!(poll(&mut last).is_pending());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn idle_waiters_between_others_delay_each_of_them_for_a_bounded_time() {
    for algorithm in ALGORITHMS {
        let limit = Arc::new(limit(1, 10 * SECOND, 90_000 * SECOND, algorithm));
        let start = Instant::now();
        limit.acquire_async().await.unwrap();
        let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
        let mut calls = Vec::new();
        for number in 0..6_u32 {
            calls.extend(idle(&limit, 7));
            let (limit, sender) = (limit.clone(), sender.clone());
            tokio::spawn(async move {
                limit.acquire_async().await.unwrap();
                sender.send(number).unwrap();
            });
            run_ready_tasks().await;
        }
        let mut previous = start;
        for number in 0..6 {
            assert_eq!(served.recv().await, Some(number), "in order");
            assert!(
                previous.elapsed() <= 10 * SECOND + MAX_DELAY,
                "{algorithm:?}: {number} after {:?}",
                previous.elapsed()
            );
            previous = Instant::now();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_stream_that_is_not_polled_delay_others_for_a_bounded_time() {
    let limit = limit(10, SECOND, 900 * SECOND, Algorithm::SlidingWindow);
    let mut calls = pin!(stream::iter(0..100).map(|_| limit.acquire_async()).buffered(30));
    for _ in 0..10 {
        calls.next().await.unwrap().unwrap();
    }
    assert!(poll_fn(|context| Poll::Ready(calls.as_mut().poll_next(context).is_pending())).await);
    assert_eq!(limit.snapshot().waiting, 30);
    let start = Instant::now();
    limit.acquire_async().await.unwrap();
    assert!(start.elapsed() <= SECOND + MAX_DELAY, "{:?}", start.elapsed());
}

/// Calls that are rejected instead of waiting skip idle waiters as well.
#[tokio::test(start_paused = true)]
async fn calls_that_do_not_wait_are_admitted_after_a_bounded_time() {
    for algorithm in ALGORITHMS {
        for max_wait in [25 * SECOND, 90_000 * SECOND] {
            for count in [2, 20] {
                let limit = limit(1, 10 * SECOND, 90_000 * SECOND, algorithm);
                limit.try_acquire().unwrap();
                let calls = idle(&limit, count);
                limit.reconfigure(RateLimitConfig::new(1, 10 * SECOND).max_wait(max_wait).algorithm(algorithm));
                sleep(10 * SECOND).await;
                let start = Instant::now();
                // A call that does not wait, or one whose turn would come after max_wait.
                while if max_wait > 100 * SECOND {
                    limit.try_acquire().is_err()
                } else {
                    limit.acquire_async().await.is_err()
                } {
                    assert!(start.elapsed() <= MAX_DELAY, "{algorithm:?}: {count} idle waiters keep new calls out");
                    sleep(SECOND / 10).await;
                }
                drop(calls);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_and_a_leaked_waiter_delay_each_call_for_less_than_a_window() {
    for algorithm in ALGORITHMS {
        let limit = limit(1, 10 * SECOND, 3_600 * SECOND, algorithm);
        limit.try_acquire().unwrap();
        let start = Instant::now();
        let mut idle = waiting(&limit);
        let leaked = waiting(&limit);
        std::mem::forget(leaked);
        for served in 1..=5 {
            limit.acquire_async().await.unwrap();
            let delay = start.elapsed().checked_sub(served * 10 * SECOND).expect("not before the window has elapsed");
            assert!(delay < 10 * SECOND, "{algorithm:?}: {delay:?}");
        }
        assert_eq!(limit.snapshot().waiting, 0);
        // When it is polled again, the idle waiter is the first in the queue, as before.
        let other = waiting(&limit);
        idle.as_mut().await.unwrap();
        drop(other);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_waiters_of_a_store_delay_each_call_for_less_than_a_window() {
    let limit = WindowStore::new(Duration::ZERO).limit(1, 10 * SECOND, 3_600 * SECOND);
    limit.acquire_async().await.unwrap();
    let start = Instant::now();
    let mut idle = [waiting(&limit), waiting(&limit)];
    for call in &mut idle {
        // The store rejects the call, which stays in the queue.
        advance(Duration::from_millis(1)).await;
        assert!(poll(call).is_pending());
    }
    for served in 1..=3 {
        limit.acquire_async().await.unwrap();
        let delay = start.elapsed().checked_sub(served * 10 * SECOND).expect("not before the window has elapsed");
        assert!(delay < 10 * SECOND, "{delay:?}");
    }
    for call in idle {
        call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn any_number_of_idle_waiters_of_a_store_delays_the_next_call_for_a_bounded_time() {
    for count in [1, 5, 20, 100] {
        for may_wait in [true, false] {
            let store = WindowStore::new(Duration::ZERO);
            let limit = store.limit(1, 10 * SECOND, 90_000 * SECOND);
            limit.acquire_async().await.unwrap();
            let start = Instant::now();
            let mut idle: Vec<_> = (0..count).map(|_| waiting(&limit)).collect();
            for call in &mut idle {
                advance(Duration::from_millis(1)).await;
                assert!(poll(call).is_pending());
            }
            if !may_wait {
                // The turn would come after this max_wait of 15 s.
                limit.reconfigure(RateLimitConfig::new(1, 10 * SECOND).max_wait(15 * SECOND).store(store));
                sleep(9 * SECOND).await;
            }
            while limit.acquire_async().await.is_err() {
                assert!(start.elapsed() < 60 * SECOND, "{count} idle waiters keep new calls out");
                sleep(SECOND / 10).await;
            }
            let delay = start.elapsed().checked_sub(10 * SECOND).expect("not before the window has elapsed");
            assert!(delay <= 3 * SECOND, "{count} idle waiters: {delay:?} late");
        }
    }
}
