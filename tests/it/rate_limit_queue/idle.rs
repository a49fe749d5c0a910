//! Waiters that nobody polls any more: they hold up the others for a bounded time, however many they are.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use steadfast::{Algorithm, RateLimit, RateLimitConfig};
use tokio::time::{Instant, sleep};

use super::{ALGORITHMS, Call, SECOND, limit, poll, settle, waiting};

const MOST: Duration = Duration::from_secs(2);

fn idle(limit: &RateLimit, count: usize) -> Vec<Call<'_>> {
    (0..count).map(|_| waiting(limit)).collect()
}

#[tokio::test(start_paused = true)]
async fn however_many_waiters_are_idle_the_next_is_soon_served() {
    for algorithm in ALGORITHMS {
        for count in [1, 5, 20, 100, 1_000] {
            let limit = limit(1, 10 * SECOND, 90_000 * SECOND, algorithm);
            let start = Instant::now();
            limit.acquire_async().await.unwrap();
            let calls = idle(&limit, count);
            limit.acquire_async().await.unwrap();
            let late = start.elapsed().checked_sub(10 * SECOND).expect("not before its time");
            assert!(late <= MOST, "{algorithm:?}: {count} idle waiters cost {late:?}");
            // They have kept their places: each is before one that comes now.
            let mut last = waiting(&limit);
            for call in calls.into_iter().take(5) {
                call.await.unwrap();
                assert!(poll(&mut last).is_pending());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn idle_waiters_between_others_hold_up_each_of_them_for_a_bounded_time() {
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
            settle().await;
        }
        let mut before = start;
        for number in 0..6 {
            assert_eq!(served.recv().await, Some(number), "in order");
            assert!(before.elapsed() <= 10 * SECOND + MOST, "{algorithm:?}: {number} after {:?}", before.elapsed());
            before = Instant::now();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_stream_whose_consumer_sleeps_hold_nobody_up() {
    let limit = limit(10, SECOND, 900 * SECOND, Algorithm::SlidingWindow);
    let mut calls = pin!(stream::iter(0..100).map(|_| limit.acquire_async()).buffered(30));
    for _ in 0..10 {
        calls.next().await.unwrap().unwrap();
    }
    assert!(poll_fn(|context| Poll::Ready(calls.as_mut().poll_next(context).is_pending())).await);
    assert_eq!(limit.snapshot().waiting, 30);
    let start = Instant::now();
    limit.acquire_async().await.unwrap();
    assert!(start.elapsed() <= SECOND + MOST, "{:?}", start.elapsed());
}

/// Calls that are rejected instead of waiting long look after the idle waiters as well.
#[tokio::test(start_paused = true)]
async fn calls_that_do_not_wait_are_not_rejected_for_ever() {
    for algorithm in ALGORITHMS {
        for wait in [25 * SECOND, 90_000 * SECOND] {
            for count in [2, 20] {
                let limit = limit(1, 10 * SECOND, 90_000 * SECOND, algorithm);
                limit.try_acquire().unwrap();
                let calls = idle(&limit, count);
                limit.reconfigure(RateLimitConfig::new(1, 10 * SECOND).max_wait(wait).algorithm(algorithm));
                sleep(10 * SECOND).await;
                let start = Instant::now();
                // A call that does not wait, or one whose turn does not seem to come in time.
                while if wait > 100 * SECOND {
                    limit.try_acquire().is_err()
                } else {
                    limit.acquire_async().await.is_err()
                } {
                    assert!(start.elapsed() <= MOST, "{algorithm:?}: {count} idle waiters keep out all others");
                    sleep(SECOND / 10).await;
                }
                drop(calls);
            }
        }
    }
}
