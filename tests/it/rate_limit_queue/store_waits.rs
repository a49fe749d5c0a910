//! Calls that wait for a rate limit that a store counts: order, number of requests, new settings, an unavailable store.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{RateLimit, RateLimitConfig, RateLimited};
use tokio::time::{Instant, sleep};

use super::{SECOND, run_ready_tasks, stores::WindowStore};

/// Spawns calls, and returns a list to which each call adds its number when it starts.
fn spawn_calls(limit: &Arc<RateLimit>, numbers: std::ops::Range<usize>) -> Arc<Mutex<Vec<usize>>> {
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in numbers {
        let (limit, order) = (limit.clone(), order.clone());
        tokio::spawn(async move {
            limit.acquire_async().await.unwrap();
            order.lock().unwrap().push(number);
        });
    }
    order
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_order_and_request_the_store_at_their_turn() {
    let store = WindowStore::new(Duration::from_millis(1));
    let limit = store.limit(2, 10 * SECOND, 60 * SECOND);
    let order = spawn_calls(&limit, 0..2);
    sleep(SECOND).await;
    assert_eq!((order.lock().unwrap().len(), store.requests()), (2, 2));
    let order = spawn_calls(&limit, 0..6);
    sleep(SECOND).await;
    // The calls were made at the same time, so each of them has made a request.
    assert_eq!((limit.snapshot().waiting, store.requests()), (6, 8));
    let late = spawn_calls(&limit, 6..8);
    sleep(SECOND).await;
    assert_eq!((limit.snapshot().waiting, store.requests()), (8, 8), "later calls have made none");
    sleep(60 * SECOND).await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(*late.lock().unwrap(), [6, 7]);
    assert_eq!(limit.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_limit_is_served_in_a_few_round_trips() {
    let store = WindowStore::new(Duration::from_millis(10));
    let limit = store.limit(1_000, 60 * SECOND, 600 * SECOND);
    spawn_calls(&limit, 0..1_000);
    sleep(SECOND).await;
    let order = spawn_calls(&limit, 0..1_000);
    sleep(58 * SECOND).await;
    assert_eq!(limit.snapshot().waiting, 1_000);
    sleep(2 * SECOND).await;
    let served = order.lock().unwrap().len();
    assert_eq!(served, 1_000, "one by one they would take 20 s");
}

#[tokio::test(start_paused = true)]
async fn waiters_request_the_store_at_once_with_new_settings() {
    let store = WindowStore::new(Duration::from_millis(1));
    let limit = store.limit(1, 3_600 * SECOND, 7_200 * SECOND);
    limit.acquire_async().await.unwrap();
    let order = spawn_calls(&limit, 0..40);
    sleep(SECOND).await;
    limit.reconfigure(RateLimitConfig::new(1_000, 3_600 * SECOND).store(store));
    sleep(SECOND).await;
    assert_eq!(*order.lock().unwrap(), (0..40).collect::<Vec<_>>());
    // The same while a request with the previous settings is in flight.
    limit.reconfigure(RateLimitConfig::new(1, 3_600 * SECOND).max_wait(7_200 * SECOND).store(store));
    let order = spawn_calls(&limit, 0..1);
    run_ready_tasks().await;
    limit.reconfigure(RateLimitConfig::new(1_000, 3_600 * SECOND).store(store));
    sleep(SECOND).await;
    assert_eq!(*order.lock().unwrap(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_turn_would_come_too_late_is_rejected() {
    let store = WindowStore::new(Duration::from_millis(1));
    let limit = store.limit(2, 10 * SECOND, 15 * SECOND);
    spawn_calls(&limit, 0..2);
    sleep(SECOND).await;
    // Two calls wait for the next window; the window after that is too late for the others.
    let results = results_of(&limit, 6).await;
    assert_eq!(results.iter().filter(|(result, _)| result.is_ok()).count(), 2);
    for (result, waited) in &results[2..] {
        let error = result.as_ref().unwrap_err();
        assert!(error.retry_after() > SECOND && *waited <= 15 * SECOND, "{error} after {waited:?}");
    }
    let requests = store.requests();
    let order = spawn_calls(&limit, 0..2);
    run_ready_tasks().await;
    sleep(11 * SECOND).await;
    assert_eq!(order.lock().unwrap().len(), 2);
    assert!(store.requests() <= requests + 6);
}

type Waited = (Result<(), RateLimited>, Duration);

/// Makes calls at the same time, and returns the result and the wait of each.
async fn results_of(limit: &Arc<RateLimit>, calls: usize) -> Vec<Waited> {
    let start = Instant::now();
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move { (limit.acquire_async().await, start.elapsed()) })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    results
}

#[tokio::test(start_paused = true)]
async fn waits_continue_locally_while_the_store_is_unavailable() {
    let store = WindowStore::new(Duration::from_millis(500));
    let limit = store.limit(1, 10 * SECOND, 15 * SECOND);
    limit.acquire_async().await.unwrap();
    store.set_unavailable();
    // This process has counted no call, so its own limit is not reached.
    let results = results_of(&limit, 3).await;
    let seconds: Vec<_> = results.iter().map(|(result, waited)| (result.is_ok(), waited.as_secs())).collect();
    assert_eq!(seconds, [(true, 1), (true, 11), (false, 1)]);
}
