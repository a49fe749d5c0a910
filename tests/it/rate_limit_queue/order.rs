//! Order of the queue, cancelled waiters, and rejections that take the queue into account.

use std::{task::Poll, time::Duration};

use steadfast::Algorithm;
use tokio::time::{Instant, advance, sleep};

use super::{ALGORITHMS, SECOND, limit, poll, run_ready_tasks, shared, stores::WindowStore, waiting};

#[tokio::test(start_paused = true)]
async fn the_last_waiter_is_not_delayed_by_cancelled_ones() {
    let with_store = WindowStore::new(Duration::ZERO).limit(1, 10 * SECOND, 100 * SECOND);
    let limits = ALGORITHMS.map(|algorithm| (shared(1, 10 * SECOND, 100 * SECOND, algorithm), Duration::ZERO));
    // With a store, the last call may start up to a second late.
    for (limit, max_delay) in limits.into_iter().chain([(with_store, SECOND - Duration::from_nanos(1))]) {
        let start = Instant::now();
        limit.acquire_async().await.unwrap();
        let mut calls: Vec<_> = (0..6).map(|_| waiting(&limit)).collect();
        let last = limit.acquire_async();
        let give_up = async {
            // From the front, from the back, from the middle.
            for index in [0, 4, 1, 1, 0, 0] {
                sleep(SECOND).await;
                drop(calls.remove(index));
            }
        };
        let (result, ()) = tokio::join!(last, give_up);
        result.unwrap();
        let delay = start.elapsed().checked_sub(10 * SECOND).expect("not before the window has elapsed");
        assert!(delay <= max_delay, "{:?}: {delay:?}", limit.config());
        assert_eq!((limit.snapshot().waiting, limit.snapshot().admitted), (0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn gcra_never_admits_more_than_its_burst_at_one_instant() {
    let limit = limit(1, 10 * SECOND, 95 * SECOND, Algorithm::Gcra);
    for round in 0..8 {
        let mut calls: Vec<_> = (0..9).map(|_| Box::pin(limit.acquire_async())).collect();
        let polled: Vec<_> = calls.iter_mut().map(|call| poll(call).is_ready()).collect();
        assert!(polled[1..].iter().all(|is_ready| !is_ready), "round {round}: {polled:?}");
        let last = calls.pop().unwrap();
        drop(calls);
        last.await.unwrap();
    }
    let now = (0..8).filter(|_| limit.try_acquire().is_ok()).count();
    assert_eq!(now, 0, "the last call has just been admitted");
    advance(10 * SECOND).await;
    assert_eq!((0..8).filter(|_| limit.try_acquire().is_ok()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_call_overtakes_the_queue() {
    let limit = limit(2, SECOND, 10 * SECOND, Algorithm::SlidingWindow);
    for _ in 0..2 {
        limit.try_acquire().unwrap();
    }
    let (mut first, mut second, mut third) = (waiting(&limit), waiting(&limit), waiting(&limit));
    advance(SECOND).await;
    assert!(poll(&mut third).is_pending());
    let error = limit.try_acquire().unwrap_err();
    assert_eq!(error.retry_after(), SECOND, "three calls are ahead, two of them are admitted now");
    assert!(poll(&mut second).is_pending(), "the first waiter is ahead");
    assert_eq!(poll(&mut first), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut second), Poll::Ready(Ok(())));
    assert!(poll(&mut third).is_pending());
    drop(third);
    advance(SECOND).await;
    limit.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_wait_gets_the_capacity_that_waiters_do_not_need() {
    let limit = limit(3, SECOND, 10 * SECOND, Algorithm::SlidingWindow);
    for _ in 0..3 {
        limit.try_acquire().unwrap();
    }
    let mut call = waiting(&limit);
    advance(SECOND).await;
    for expected in [true, true, false] {
        assert_eq!(limit.try_acquire().is_ok(), expected);
    }
    assert_eq!(poll(&mut call), Poll::Ready(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_a_rejection_includes_the_waiters_ahead() {
    for (algorithm, first_free, with_queue) in
        [(Algorithm::SlidingWindow, SECOND, 3 * SECOND), (Algorithm::Gcra, SECOND / 2, SECOND * 5 / 2)]
    {
        let limit = limit(2, SECOND, 2 * SECOND, algorithm);
        for _ in 0..2 {
            limit.try_acquire().unwrap();
        }
        assert_eq!(limit.try_acquire().unwrap_err().retry_after(), first_free);
        let mut calls: Vec<_> = (0..4).map(|_| waiting(&limit)).collect();
        assert_eq!(limit.try_acquire().unwrap_err().retry_after(), with_queue, "{algorithm:?}");
        assert_eq!(limit.acquire_async().await.unwrap_err().retry_after(), with_queue, "rejected without a wait");
        // With one waiter less, the turn of a new call comes within max_wait.
        drop(calls.remove(1));
        calls.push(waiting(&limit));
    }
}

#[tokio::test(start_paused = true)]
async fn a_woken_waiter_that_is_cancelled_wakes_the_next_at_once() {
    for algorithm in ALGORITHMS {
        let limit = shared(1, 10 * SECOND, 100 * SECOND, algorithm);
        limit.try_acquire().unwrap();
        let start = Instant::now();
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let limit = limit.clone();
                tokio::spawn(async move { limit.acquire_async().await.map(|()| start.elapsed()) })
            })
            .collect();
        run_ready_tasks().await;
        advance(10 * SECOND).await;
        // All calls but the last are cancelled after they were woken and before they run.
        for call in &calls[..4] {
            call.abort();
        }
        let mut results = Vec::new();
        for call in calls {
            results.push(call.await.ok());
        }
        assert_eq!(results[4], Some(Ok(10 * SECOND)), "{algorithm:?}: {results:?}");
        assert_eq!(limit.snapshot().waiting, 0);
    }
}
