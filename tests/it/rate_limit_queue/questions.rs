//! Questions to a store whose callers give up before the answer.

use std::{
    collections::BTreeMap,
    future::pending,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use steadfast::{RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitStore};
use tokio::time::{Instant, sleep, timeout};

use super::{SECOND, store::Window};

/// A store that rejects for a second, then admits each call, 200 ms away.
#[derive(Debug, Default)]
struct Far {
    asked: AtomicUsize,
    /// Questions that are neither answered nor dropped.
    under_way: AtomicUsize,
    is_open: AtomicBool,
    panics: AtomicBool,
    hangs: AtomicBool,
}

struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RateLimitStore for Far {
    fn acquire<'a>(
        &'a self,
        _request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay(&self.under_way);
        Box::pin(async move {
            let _under_way = under_way;
            if self.hangs.swap(false, Ordering::Relaxed) {
                pending::<()>().await;
            }
            sleep(Duration::from_millis(200)).await;
            assert!(!self.panics.swap(false, Ordering::Relaxed), "the store panics");
            if self.is_open.load(Ordering::Relaxed) {
                RateLimitDecision::Admitted
            } else {
                RateLimitDecision::Rejected { retry_after: SECOND }
            }
        })
    }
}

fn limit(store: &'static dyn RateLimitStore) -> Arc<RateLimit> {
    Arc::new(RateLimit::new("asked", RateLimitConfig::new(10, SECOND).max_wait(60 * SECOND).store(store)))
}

/// A limit by a store that is asked for the first of two callers, who gives up 100 ms later; `before` that. Gives when the second starts.
async fn one_gives_up(store: &'static Far, before: impl FnOnce(&RateLimit)) -> Duration {
    let (limit, start) = (limit(store), Instant::now());
    let call = || {
        let limit = limit.clone();
        tokio::spawn(async move { limit.acquire_async().await.map(|()| start.elapsed()) })
    };
    let first = call();
    sleep(Duration::from_millis(300)).await;
    let second = call();
    sleep(Duration::from_millis(600)).await;
    assert_eq!((limit.snapshot().waiting, store.asked.load(Ordering::Relaxed)), (2, 1));
    store.is_open.store(true, Ordering::Relaxed);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(store.asked.load(Ordering::Relaxed), 2, "the first asks again a second after it has");
    before(&limit);
    first.abort();
    let started = second.await.unwrap().unwrap();
    assert_eq!(store.under_way.load(Ordering::Relaxed), 0);
    started
}

#[tokio::test(start_paused = true)]
async fn the_next_waiter_has_the_answer() {
    let store: &'static Far = Box::leak(Box::default());
    let started = one_gives_up(store, |_| ()).await;
    assert_eq!((started.as_millis() / 10, store.asked.load(Ordering::Relaxed)), (120, 2), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_question_of_another_is_not_the_waiters() {
    let store: &'static Far = Box::leak(Box::default());
    let started = one_gives_up(store, |_| store.panics.store(true, Ordering::Relaxed)).await;
    assert_eq!((started.as_millis() / 10, store.asked.load(Ordering::Relaxed)), (140, 3), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn a_question_about_settings_that_are_gone_is_dropped() {
    let (store, other): (&'static Far, &'static Far) = (Box::leak(Box::default()), Box::leak(Box::default()));
    other.is_open.store(true, Ordering::Relaxed);
    one_gives_up(store, |limit| {
        limit.reconfigure(RateLimitConfig::new(10, SECOND).max_wait(60 * SECOND).store(other));
    })
    .await;
    assert_eq!([store, other].map(|store| store.asked.load(Ordering::Relaxed)), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_holds_up_the_next_waiter_for_a_moment() {
    let store: &'static Far = Box::leak(Box::default());
    let limit = limit(store);
    _ = timeout(Duration::from_millis(300), limit.acquire_async()).await;
    let mut calls: Vec<_> = Vec::new();
    for _ in 0..2 {
        let limit = limit.clone();
        calls.push(tokio::spawn(async move { limit.acquire_async().await }));
        sleep(Duration::from_millis(300)).await;
    }
    // The first asks again at a second, and gets no answer.
    store.is_open.store(true, Ordering::Relaxed);
    store.hangs.store(true, Ordering::Relaxed);
    sleep(Duration::from_millis(450)).await;
    calls.remove(0).abort();
    timeout(SECOND, calls.remove(0)).await.expect("no long wait").unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_question_is_dropped_with_the_last_waiter() {
    let store: &'static Far = Box::leak(Box::default());
    let limit = limit(store);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.acquire_async().await })
        })
        .collect();
    sleep(Duration::from_millis(1_100)).await;
    assert!(store.under_way.load(Ordering::Relaxed) > 0);
    for call in calls {
        call.abort();
        _ = call.await;
    }
    assert_eq!((store.under_way.load(Ordering::Relaxed), limit.snapshot().waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn large_limits_are_served_in_order_whoever_gives_up() {
    for (calls, way) in [(20, 10), (100, 1), (100, 3), (100, 25), (1_000, 1)] {
        for patience in [500, 800].map(Duration::from_millis) {
            let store = Window::new(Duration::from_millis(way));
            let limit = Arc::new(RateLimit::new(
                "large",
                RateLimitConfig::new(calls, SECOND).max_wait(5 * SECOND).store(store),
            ));
            let (start, order) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
            let (mut number, seconds) = (0, 5);
            while start.elapsed() < seconds * SECOND {
                while number < start.elapsed().as_millis() * 5 * u128::from(calls) / 1_000 {
                    let (limit, order) = (limit.clone(), order.clone());
                    number += 1;
                    tokio::spawn(async move {
                        if let Ok(Ok(())) = timeout(patience, limit.acquire_async()).await {
                            order.lock().unwrap().push((start.elapsed(), number));
                        }
                    });
                }
                sleep(Duration::from_millis(1)).await;
            }
            let order = order.lock().unwrap();
            let (served, most) = (order.len(), calls as usize * 5);
            assert!(served * 100 >= most * 98, "{calls}, {way} ms away, {patience:?}: {served} of {most}");
            // Those of one moment start in any order.
            let mut moments = BTreeMap::<_, Vec<_>>::new();
            for (at, number) in order.iter() {
                moments.entry(at.as_millis()).or_default().push(*number);
            }
            let mut last = 0;
            for (at, numbers) in moments {
                assert!(
                    numbers.iter().all(|number| *number > last),
                    "{calls}, {way} ms away, {at}: {numbers:?} after {last}"
                );
                last = numbers.into_iter().max().unwrap_or(last);
            }
        }
    }
}
