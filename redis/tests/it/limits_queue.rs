//! Calls that wait for a rate limit that a fleet shares.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
};

use steadfast::{Algorithm, KeyedRateLimits, RateLimit, RateLimitConfig};
use steadfast_redis::{Fleet, OnUnavailable, RedisRateLimits};
use tokio::time::{sleep, timeout};

use crate::{HANG, alone, server::Redis};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

async fn fleet(redis: &Redis, limits: &'static RedisRateLimits) -> Fleet {
    // A machine that stands still for a while does not count as a Redis that can't be reached.
    let fleet = Fleet::connect(&redis.address())
        .application("shop")
        .timeout(SECOND * 5)
        .lease(HANG)
        .rate_limits(limits)
        .start()
        .unwrap();
    crate::found(&fleet).await;
    fleet
}

fn limit(name: &'static str, config: RateLimitConfig, store: &'static RedisRateLimits) -> Arc<RateLimit> {
    Arc::new(RateLimit::new(name, config.store(store)))
}

/// Waits until so many wait.
async fn until_waiting(limit: &RateLimit, calls: usize) {
    let begun = Instant::now();
    while limit.snapshot().waiting != calls {
        assert!(begun.elapsed() < HANG, "{} wait instead of {calls}", limit.snapshot().waiting);
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_a_queue_of_callers_who_give_up_waits_for_one_call() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _alone = alone();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    let last = ALGORITHMS.map(|algorithm| {
        // Were each of them waited for, it would take 42 s.
        let config = RateLimitConfig::new(1, 6 * SECOND).max_wait(HOUR).algorithm(algorithm);
        let limit = limit(if algorithm == Algorithm::Gcra { "gcra" } else { "window" }, config, &LIMITS);
        tokio::spawn(async move {
            limit.acquire_async().await.unwrap();
            let calls: Vec<_> = (0..6)
                .map(|_| {
                    let limit = limit.clone();
                    tokio::spawn(async move { limit.acquire_async().await })
                })
                .collect();
            until_waiting(&limit, 6).await;
            let last = tokio::spawn({
                let limit = limit.clone();
                async move { limit.acquire_async().await }
            });
            until_waiting(&limit, 7).await;
            for call in calls {
                call.abort();
            }
            until_waiting(&limit, 1).await;
            timeout(HANG, last).await.expect("as soon as there is capacity").unwrap().unwrap();
        })
    });
    for last in last {
        last.await.unwrap();
    }
    fleet.stop().await;
}

/// Two processes, which share nothing but Redis, with five times the load that the limit allows.
#[tokio::test(flavor = "multi_thread")]
async fn under_five_times_the_load_what_the_limit_allows_is_served() {
    static ONE: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    static OTHER: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    const SECONDS: u32 = 10;
    let _alone = alone();
    let redis = Redis::start();
    let fleets = [fleet(&redis, &ONE).await, fleet(&redis, &OTHER).await];
    let mut runs = Vec::new();
    for algorithm in ALGORITHMS {
        for patience in [500, 1_000, 2_000, 4_900].map(Duration::from_millis) {
            let config = RateLimitConfig::new(10, SECOND).max_wait(5 * SECOND).algorithm(algorithm);
            let key = patience.as_millis();
            let limits = [&ONE, &OTHER].map(|store| Arc::new(KeyedRateLimits::new("load", config.store(store))));
            let served = Arc::new(AtomicU32::new(0));
            runs.push(tokio::spawn(async move {
                let (begun, mut calls) = (Instant::now(), Vec::new());
                for number in 0.. {
                    let at = Duration::from_millis(20) * number;
                    if at >= SECOND * SECONDS {
                        break;
                    }
                    sleep(at.saturating_sub(begun.elapsed())).await;
                    let (limit, served) = (limits[number as usize % 2].limit(&key), served.clone());
                    calls.push(tokio::spawn(async move {
                        if let Ok(Ok(())) = timeout(patience, limit.acquire_async()).await {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }));
                }
                let (served_in_time, allowed) = (served.load(Ordering::Relaxed), 10 * SECONDS);
                for call in calls {
                    call.await.unwrap();
                }
                let served = served.load(Ordering::Relaxed);
                println!("{algorithm:?}, patience of {patience:?}: {served_in_time} of {allowed} in {SECONDS} s, {served} in all");
                // By the clock of Redis each of them is counted within this time.
                let most = 10.0 * (begun.elapsed().as_secs_f64() + 1.0);
                assert!(f64::from(served) <= most, "{algorithm:?}, {patience:?}: {served} of {most}");
                // A machine that stands still for a second or two loses no more than this.
                assert!(served_in_time >= allowed / 2, "{algorithm:?}, {patience:?}: {served_in_time} of {allowed}");
            }));
        }
    }
    for run in runs {
        run.await.unwrap();
    }
    for fleet in fleets {
        fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_raised_serves_those_who_wait_and_those_who_were_rejected() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _alone = alone();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    for (algorithm, [patient, impatient]) in [
        (Algorithm::SlidingWindow, ["raised", "raised at once"]),
        (Algorithm::Gcra, ["raised gcra", "raised gcra at once"]),
    ] {
        let config = |calls| RateLimitConfig::new(calls, HOUR).algorithm(algorithm);
        let limit_of_waiters = limit(patient, config(1).max_wait(2 * 24 * HOUR), &LIMITS);
        limit_of_waiters.acquire_async().await.unwrap();
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let limit = limit_of_waiters.clone();
                tokio::spawn(async move { limit.acquire_async().await })
            })
            .collect();
        until_waiting(&limit_of_waiters, 40).await;
        limit_of_waiters.reconfigure(config(1_000).max_wait(SECOND).store(&LIMITS));
        for call in calls {
            timeout(HANG, call).await.expect("at once").unwrap().unwrap();
        }

        let limit = limit(impatient, config(1), &LIMITS);
        limit.acquire_async().await.unwrap();
        for _ in 0..3 {
            assert!(limit.acquire_async().await.unwrap_err().retry_after() > HOUR / 2);
        }
        limit.reconfigure(config(1_000).store(&LIMITS));
        for _ in 0..100 {
            limit.acquire_async().await.unwrap();
        }
        limit.reconfigure(config(1).store(&LIMITS));
        limit.acquire_async().await.unwrap_err();
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_before_its_answer_does_not_count() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _alone = alone();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    for (algorithm, counted_as) in [(Algorithm::SlidingWindow, "window"), (Algorithm::Gcra, "gcra")] {
        let config = RateLimitConfig::new(1, HOUR).algorithm(algorithm).max_wait(2 * HOUR);
        let limits = KeyedRateLimits::new("dropped", config.store(&LIMITS));
        // Redis has the script.
        limits.limit(&"first").acquire_async().await.unwrap();
        for key in 0..10 {
            let limit = limits.limit(&key);
            let mut call = Box::pin(limit.acquire_async());
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let count = format!("steadfast:{{shop:dropped:{key}}}:limit:{counted_as}");
            let begun = Instant::now();
            while redis.command::<u32>(&["EXISTS", &count]) == 0 {
                assert!(
                    begun.elapsed() < HANG,
                    "the question has not come: {:?}",
                    redis.command::<Vec<String>>(&["KEYS", "*"])
                );
                tokio::task::yield_now().await;
            }
            // Redis has admitted it, and nobody has seen the answer.
            drop(call);
            timeout(HANG, limit.acquire_async()).await.expect("nobody has it").unwrap();
            assert_eq!(limit.snapshot().admitted, 1, "{algorithm:?}, {key}");
        }
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_come_in_order() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _alone = alone();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    let limit = limit("in order", RateLimitConfig::new(1, SECOND / 20).max_wait(HANG), &LIMITS);
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    limit.acquire_async().await.unwrap();
    for number in 0..20 {
        let (limit, order) = (limit.clone(), order.clone());
        let call: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            limit.acquire_async().await.unwrap();
            order.lock().unwrap().push(number);
        });
        calls.push(call);
    }
    // In one task they come in this order.
    timeout(HANG, async {
        let mut waiting: Vec<_> = calls.into_iter().map(Some).collect();
        std::future::poll_fn(|context| {
            for call in &mut waiting {
                if call.as_mut().is_some_and(|call| call.as_mut().poll(context).is_ready()) {
                    *call = None;
                }
            }
            if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    })
    .await
    .unwrap();
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    fleet.stop().await;
}
