//! New settings and resets while calls wait.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{Algorithm, KeyedRateLimits, RateLimitConfig};
use tokio::time::Instant;

use super::{ALGORITHMS, SECOND, limit, run_ready_tasks, shared, waiting};

#[tokio::test(start_paused = true)]
async fn a_raised_limit_serves_the_waiters_at_once_and_in_order() {
    for algorithm in ALGORITHMS {
        let limit = shared(1, 60 * SECOND, 3_600 * SECOND, algorithm);
        limit.try_acquire().unwrap();
        let (start, order) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        for number in 0..50 {
            let (limit, order) = (limit.clone(), order.clone());
            tokio::spawn(async move {
                limit.acquire_async().await.unwrap();
                order.lock().unwrap().push(number);
            });
        }
        run_ready_tasks().await;
        assert_eq!((limit.snapshot().waiting, order.lock().unwrap().len()), (50, 0));
        limit.reconfigure(RateLimitConfig::new(1_000, 60 * SECOND).max_wait(SECOND).algorithm(algorithm));
        // A new call does not overtake the waiters.
        limit.acquire_async().await.unwrap();
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>(), "{algorithm:?}");
        assert_eq!((start.elapsed(), limit.snapshot().waiting), (Duration::ZERO, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_and_new_settings_for_all_keys_serve_the_waiters_at_once() {
    let start = Instant::now();
    let limit = limit(1, 60 * SECOND, 3_600 * SECOND, Algorithm::SlidingWindow);
    limit.try_acquire().unwrap();
    let mut call = waiting(&limit);
    limit.reset();
    assert_eq!(call.as_mut().await, Ok(()));
    let keyed = KeyedRateLimits::new("queue", RateLimitConfig::new(1, 60 * SECOND).max_wait(3_600 * SECOND));
    let limits = [keyed.limit("ada"), keyed.limit("grace")];
    for limit in &limits {
        limit.try_acquire().unwrap();
    }
    let [ada, grace] = limits.each_ref().map(|limit| limit.acquire_async());
    let raise = async {
        run_ready_tasks().await;
        keyed.reconfigure(RateLimitConfig::new(2, 60 * SECOND));
    };
    let (ada, grace, ()) = tokio::join!(ada, grace, raise);
    assert_eq!((ada, grace), (Ok(()), Ok(())));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_applies_to_the_waiters() {
    let limit = shared(10, SECOND, 3 * SECOND, Algorithm::SlidingWindow);
    for _ in 0..10 {
        limit.try_acquire().unwrap();
    }
    let start = Instant::now();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.acquire_async().await.map(|()| start.elapsed()) })
        })
        .collect();
    run_ready_tasks().await;
    limit.reconfigure(RateLimitConfig::new(1, 2 * SECOND).max_wait(3 * SECOND));
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert_eq!(results.remove(0), Ok(2 * SECOND));
    // The other calls have waited for max_wait.
    assert_eq!(start.elapsed(), 3 * SECOND);
    for result in results {
        let error = result.unwrap_err();
        assert!(error.retry_after() >= SECOND, "{error}");
    }
    assert_eq!(limit.snapshot().waiting, 0);
}
