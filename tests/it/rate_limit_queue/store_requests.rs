//! Requests to a store whose callers give up before the answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use steadfast::{RateLimit, RateLimitConfig};
use tokio::time::{Instant, sleep, timeout};

use super::{
    SECOND,
    stores::{SlowStore, WindowStore},
};

/// Lets two calls wait, and cancels the first 100 ms after its second request to the store. `before_cancel` runs just before the
/// cancellation. Returns the time at which the second call starts.
async fn start_after_cancel(store: &'static SlowStore, before_cancel: impl FnOnce(&RateLimit)) -> Duration {
    let (limit, start) = (store.limit(), Instant::now());
    let call = || {
        let limit = limit.clone();
        tokio::spawn(async move { limit.acquire_async().await.map(|()| start.elapsed()) })
    };
    let first = call();
    sleep(Duration::from_millis(300)).await;
    let second = call();
    sleep(Duration::from_millis(600)).await;
    assert_eq!((limit.snapshot().waiting, store.requests()), (2, 1));
    store.open();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(store.requests(), 2, "the first call makes its second request a second after its first");
    before_cancel(&limit);
    first.abort();
    let started = second.await.unwrap().unwrap();
    assert_eq!(store.in_flight(), 0);
    started
}

#[tokio::test(start_paused = true)]
async fn the_next_waiter_receives_the_answer_to_the_request_of_a_cancelled_call() {
    let store = SlowStore::new();
    let started = start_after_cancel(store, |_| ()).await;
    assert_eq!((started.as_millis() / 10, store.requests()), (120, 2), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_request_of_a_cancelled_call_does_not_reach_the_next_waiter() {
    let store = SlowStore::new();
    let started = start_after_cancel(store, |_| store.panics.store(true, Ordering::Relaxed)).await;
    assert_eq!((started.as_millis() / 10, store.requests()), (140, 3), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_previous_settings_is_dropped() {
    let (store, other) = (SlowStore::new(), SlowStore::new());
    other.open();
    start_after_cancel(store, |limit| {
        limit.reconfigure(RateLimitConfig::new(10, SECOND).max_wait(60 * SECOND).store(other));
    })
    .await;
    assert_eq!([store.requests(), other.requests()], [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_delays_the_next_waiter_for_a_bounded_time() {
    let store = SlowStore::new();
    let limit = store.limit();
    _ = timeout(Duration::from_millis(300), limit.acquire_async()).await;
    let mut calls: Vec<_> = Vec::new();
    for _ in 0..2 {
        let limit = limit.clone();
        calls.push(tokio::spawn(async move { limit.acquire_async().await }));
        sleep(Duration::from_millis(300)).await;
    }
    // The first call makes its next request after a second, and gets no answer.
    store.open();
    store.hangs.store(true, Ordering::Relaxed);
    sleep(Duration::from_millis(450)).await;
    calls.remove(0).abort();
    timeout(SECOND, calls.remove(0)).await.expect("served within a second").unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_is_dropped_with_the_last_waiter() {
    let store = SlowStore::new();
    let limit = store.limit();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.acquire_async().await })
        })
        .collect();
    sleep(Duration::from_millis(1_100)).await;
    assert!(store.in_flight() > 0);
    for call in calls {
        call.abort();
        _ = call.await;
    }
    assert_eq!((store.in_flight(), limit.snapshot().waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn large_limits_are_served_in_order_while_callers_give_up() {
    for (calls, latency) in [(20, 10), (100, 1), (100, 3), (100, 25), (1_000, 1)] {
        for give_up_after in [500, 800].map(Duration::from_millis) {
            let store = WindowStore::new(Duration::from_millis(latency));
            let limit = store.limit(calls, SECOND, 5 * SECOND);
            let (start, order) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
            let (mut number, seconds) = (0, 5);
            while start.elapsed() < seconds * SECOND {
                while number < start.elapsed().as_millis() * 5 * u128::from(calls) / 1_000 {
                    let (limit, order) = (limit.clone(), order.clone());
                    number += 1;
                    tokio::spawn(async move {
                        if let Ok(Ok(())) = timeout(give_up_after, limit.acquire_async()).await {
                            order.lock().unwrap().push((start.elapsed(), number));
                        }
                    });
                }
                sleep(Duration::from_millis(1)).await;
            }
            let order = order.lock().unwrap();
            let (served, most) = (order.len(), calls as usize * 5);
            assert!(served * 100 >= most * 98, "{calls}, latency {latency} ms, {give_up_after:?}: {served} of {most}");
            // Calls that start at the same moment start in any order.
            let mut moments = BTreeMap::<_, Vec<_>>::new();
            for (at, number) in order.iter() {
                moments.entry(at.as_millis()).or_default().push(*number);
            }
            let mut last = 0;
            for (at, numbers) in moments {
                assert!(
                    numbers.iter().all(|number| *number > last),
                    "{calls}, latency {latency} ms, {at}: {numbers:?} after {last}"
                );
                last = numbers.into_iter().max().unwrap_or(last);
            }
        }
    }
}
