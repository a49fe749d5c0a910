//! Calls that wait for a limit that a store counts.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use steadfast::{RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitStore};
use tokio::time::{Instant, advance, sleep};

use super::{SECOND, most_in_a_window, settle, under_load, waiting};

/// A store with a window, a few milliseconds away.
#[derive(Debug)]
pub(super) struct Window {
    starts: Mutex<Vec<Instant>>,
    asked: AtomicUsize,
    way: Duration,
    is_away: AtomicBool,
}

impl Window {
    /// For one test, which leaks it.
    pub(super) fn new(way: Duration) -> &'static Self {
        let (starts, asked, is_away) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(false));
        Box::leak(Box::new(Self { starts, asked, way, is_away }))
    }

    fn decide(&self, config: RateLimitConfig) -> RateLimitDecision {
        if self.is_away.load(Ordering::Relaxed) {
            return RateLimitDecision::Unknown;
        }
        let (now, mut starts) = (Instant::now(), self.starts.lock().unwrap());
        starts.retain(|start| *start + config.get_per() > now);
        let limit = config.get_limit() as usize;
        if starts.len() < limit {
            starts.push(now);
            return RateLimitDecision::Admitted;
        }
        RateLimitDecision::Rejected { retry_after: starts[starts.len() - limit] + config.get_per() - now }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl RateLimitStore for Window {
    fn acquire<'a>(
        &'a self,
        request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            sleep(self.way).await;
            let decision = self.decide(request.config);
            sleep(self.way).await;
            decision
        })
    }
}

fn limit(calls: u32, per: Duration, wait: Duration, store: &'static Window) -> Arc<RateLimit> {
    Arc::new(RateLimit::new("stored", RateLimitConfig::new(calls, per).max_wait(wait).store(store)))
}

/// Calls that note their numbers when they start.
fn calls(limit: &Arc<RateLimit>, numbers: std::ops::Range<usize>) -> Arc<Mutex<Vec<usize>>> {
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
async fn under_five_times_the_load_all_that_the_limit_allows_is_served() {
    for way in [0, 1, 3, 10, 25].map(Duration::from_millis) {
        for patience in [500, 1_000, 2_000, 4_900].map(Duration::from_millis) {
            let store = Window::new(way);
            let started = under_load(limit(10, SECOND, 5 * SECOND, store), patience).await;
            println!("{way:?} away, patience of {patience:?}: {} of 600, asked {} times", started.len(), store.asked());
            assert!((588..=610).contains(&started.len()), "{way:?}, {patience:?}: {}", started.len());
            assert!(most_in_a_window(&started, SECOND) <= 10);
            assert!(store.asked() <= 3_000, "once for each of 3,000 calls at most: {}", store.asked());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_come_in_order_and_are_asked_for_when_their_turn_comes() {
    let store = Window::new(Duration::from_millis(1));
    let limit = limit(2, 10 * SECOND, 60 * SECOND, store);
    let order = calls(&limit, 0..2);
    sleep(SECOND).await;
    assert_eq!((order.lock().unwrap().len(), store.asked()), (2, 2));
    let order = calls(&limit, 0..6);
    sleep(SECOND).await;
    // They came at the same time, so that each of them has asked.
    assert_eq!((limit.snapshot().waiting, store.asked()), (6, 8));
    let late = calls(&limit, 6..8);
    sleep(SECOND).await;
    assert_eq!((limit.snapshot().waiting, store.asked()), (8, 8), "those who come later have not");
    sleep(60 * SECOND).await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(*late.lock().unwrap(), [6, 7]);
    assert_eq!(limit.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_queue_of_callers_who_give_up_waits_for_one_call() {
    let limit = limit(1, 10 * SECOND, 100 * SECOND, Window::new(Duration::ZERO));
    let start = Instant::now();
    limit.acquire_async().await.unwrap();
    let mut calls: Vec<_> = (0..6).map(|_| waiting(&limit)).collect();
    let last = limit.acquire_async();
    let give_up = async {
        for index in [0, 4, 1, 1, 0, 0] {
            sleep(SECOND).await;
            drop(calls.remove(index));
        }
    };
    let (result, ()) = tokio::join!(last, give_up);
    result.unwrap();
    assert!(start.elapsed() < 11 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_large_limit_is_served_in_a_few_ways_there_and_back() {
    let store = Window::new(Duration::from_millis(10));
    let limit = limit(1_000, 60 * SECOND, 600 * SECOND, store);
    calls(&limit, 0..1_000);
    sleep(SECOND).await;
    let order = calls(&limit, 0..1_000);
    sleep(58 * SECOND).await;
    assert_eq!(limit.snapshot().waiting, 1_000);
    sleep(2 * SECOND).await;
    let served = order.lock().unwrap().len();
    assert_eq!(served, 1_000, "one by one they would have taken 20 s");
}

#[tokio::test(start_paused = true)]
async fn other_settings_are_asked_about_at_once() {
    let store = Window::new(Duration::from_millis(1));
    let limit = limit(1, 3_600 * SECOND, 7_200 * SECOND, store);
    limit.acquire_async().await.unwrap();
    let order = calls(&limit, 0..40);
    sleep(SECOND).await;
    limit.reconfigure(RateLimitConfig::new(1_000, 3_600 * SECOND).store(store));
    sleep(SECOND).await;
    assert_eq!(*order.lock().unwrap(), (0..40).collect::<Vec<_>>());
    // And while a question is on its way that is about settings that are gone.
    limit.reconfigure(RateLimitConfig::new(1, 3_600 * SECOND).max_wait(7_200 * SECOND).store(store));
    let order = calls(&limit, 0..1);
    settle().await;
    limit.reconfigure(RateLimitConfig::new(1_000, 3_600 * SECOND).store(store));
    sleep(SECOND).await;
    assert_eq!(*order.lock().unwrap(), [0]);
}

#[tokio::test(start_paused = true)]
async fn who_could_not_have_its_turn_in_time_is_rejected() {
    let store = Window::new(Duration::from_millis(1));
    let limit = limit(2, 10 * SECOND, 15 * SECOND, store);
    calls(&limit, 0..2);
    sleep(SECOND).await;
    // Two wait for the next window, and the others can't wait for the one after that.
    let results = futures_of(&limit, 6).await;
    assert_eq!(results.iter().filter(|(result, _)| result.is_ok()).count(), 2);
    for (result, waited) in &results[2..] {
        let error = result.as_ref().unwrap_err();
        assert!(error.retry_after() > SECOND && *waited <= 15 * SECOND, "{error} after {waited:?}");
    }
    let asked = store.asked();
    let order = calls(&limit, 0..2);
    settle().await;
    sleep(11 * SECOND).await;
    assert_eq!(order.lock().unwrap().len(), 2);
    assert!(store.asked() <= asked + 6);
}

type Waited = (Result<(), steadfast::RateLimited>, Duration);

/// So many calls at the same time: how they end, and after how long.
async fn futures_of(limit: &Arc<RateLimit>, calls: usize) -> Vec<Waited> {
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
async fn a_store_that_can_not_say_leaves_the_rest_of_the_wait_to_this_process() {
    let store = Window::new(Duration::from_millis(500));
    let limit = limit(1, 10 * SECOND, 15 * SECOND, store);
    limit.acquire_async().await.unwrap();
    store.is_away.store(true, Ordering::Relaxed);
    // This process has counted none.
    let results = futures_of(&limit, 3).await;
    let seconds: Vec<_> = results.iter().map(|(result, waited)| (result.is_ok(), waited.as_secs())).collect();
    assert_eq!(seconds, [(true, 1), (true, 11), (false, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_polls_holds_nobody_up_for_long() {
    let limit = limit(1, 10 * SECOND, 3_600 * SECOND, Window::new(Duration::ZERO));
    limit.acquire_async().await.unwrap();
    let start = Instant::now();
    let mut idle = [waiting(&limit), waiting(&limit)];
    for call in &mut idle {
        // Refused, and back in the queue.
        advance(Duration::from_millis(1)).await;
        assert!(super::poll(call).is_pending());
    }
    for served in 1..=3 {
        limit.acquire_async().await.unwrap();
        let late = start.elapsed().checked_sub(served * 10 * SECOND).expect("not before its time");
        assert!(late < 10 * SECOND, "{late:?}");
    }
    for call in idle {
        call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_waiters_are_idle_the_next_call_is_soon_served() {
    for count in [1, 5, 20, 100] {
        for may_wait in [true, false] {
            let store = Window::new(Duration::ZERO);
            let limit = limit(1, 10 * SECOND, 90_000 * SECOND, store);
            limit.acquire_async().await.unwrap();
            let start = Instant::now();
            let mut idle: Vec<_> = (0..count).map(|_| waiting(&limit)).collect();
            for call in &mut idle {
                advance(Duration::from_millis(1)).await;
                assert!(super::poll(call).is_pending());
            }
            if !may_wait {
                // A turn that seems to come later than in 15 s.
                limit.reconfigure(RateLimitConfig::new(1, 10 * SECOND).max_wait(15 * SECOND).store(store));
                sleep(9 * SECOND).await;
            }
            while limit.acquire_async().await.is_err() {
                assert!(start.elapsed() < 60 * SECOND, "{count} idle waiters keep out all others");
                sleep(SECOND / 10).await;
            }
            let late = start.elapsed().checked_sub(10 * SECOND).expect("not before its time");
            assert!(late <= 3 * SECOND, "{count} idle waiters cost {late:?}");
        }
    }
}
