//! Calls that wait for a rate limit that is counted in Redis.

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

use crate::{HANG, exclusive, support::server::Redis};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

async fn fleet(redis: &Redis, limits: &'static RedisRateLimits) -> Fleet {
    // A long timeout, so that a stall of this machine does not look like an outage of Redis.
    let fleet = Fleet::connect(&redis.address())
        .application("shop")
        .timeout(SECOND * 5)
        .lease(HANG)
        .rate_limits(limits)
        .start()
        .unwrap();
    crate::connected(&fleet).await;
    fleet
}

fn limit(name: &'static str, config: RateLimitConfig, store: &'static RedisRateLimits) -> Arc<RateLimit> {
    Arc::new(RateLimit::new(name, config.store(store)))
}

/// Waits until `calls` calls are in the queue.
async fn until_waiting(limit: &RateLimit, calls: usize) {
    let begun = Instant::now();
    while limit.snapshot().waiting != calls {
        assert!(begun.elapsed() < HANG, "{} calls are waiting instead of {calls}", limit.snapshot().waiting);
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_waiters_do_not_delay_the_next_one() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _exclusive = exclusive();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    let last = ALGORITHMS.map(|algorithm| {
        // If each cancelled waiter took a permit, the last one would wait for 42 s.
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

/// Two stores, as in two processes, with five times the load that the limit allows.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_used_up_under_five_times_the_load() {
    static ONE: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    static OTHER: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    const SECONDS: u32 = 10;
    let _exclusive = exclusive();
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
                // All admissions are within this time by the clock of Redis.
                let most = 10.0 * (begun.elapsed().as_secs_f64() + 1.0);
                assert!(f64::from(served) <= most, "{algorithm:?}, {patience:?}: {served} of {most}");
                // Tolerates a stall of this machine for a second or two.
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
async fn a_raised_limit_admits_waiting_and_previously_rejected_calls() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _exclusive = exclusive();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    for (algorithm, [patient, impatient]) in [
        (Algorithm::SlidingWindow, ["raised", "raised at once"]),
        (Algorithm::Gcra, ["raised gcra", "raised gcra at once"]),
    ] {
        let config = |calls| RateLimitConfig::new(calls, HOUR).algorithm(algorithm);
        let patient_limit = limit(patient, config(1).max_wait(2 * 24 * HOUR), &LIMITS);
        patient_limit.acquire_async().await.unwrap();
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let limit = patient_limit.clone();
                tokio::spawn(async move { limit.acquire_async().await })
            })
            .collect();
        until_waiting(&patient_limit, 40).await;
        patient_limit.reconfigure(config(1_000).max_wait(SECOND).store(&LIMITS));
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
async fn a_call_that_is_dropped_before_the_reply_is_not_counted() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _exclusive = exclusive();
    let redis = Redis::start();
    let fleet = fleet(&redis, &LIMITS).await;
    for (algorithm, counted_as) in [(Algorithm::SlidingWindow, "window"), (Algorithm::Gcra, "gcra")] {
        let config = RateLimitConfig::new(1, HOUR).algorithm(algorithm).max_wait(2 * HOUR);
        let limits = KeyedRateLimits::new("dropped", config.store(&LIMITS));
        // Loads the script into Redis.
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
                    "the request has not arrived: {:?}",
                    redis.command::<Vec<String>>(&["KEYS", "*"])
                );
                tokio::task::yield_now().await;
            }
            // Redis has admitted the call, but the reply has not been read.
            drop(call);
            timeout(HANG, limit.acquire_async()).await.expect("the cancelled call is not counted").unwrap();
            assert_eq!(limit.snapshot().admitted, 1, "{algorithm:?}, {key}");
        }
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_calls_are_admitted_in_fifo_order() {
    static LIMITS: RedisRateLimits = RedisRateLimits::new().on_unavailable(OnUnavailable::Deny);
    let _exclusive = exclusive();
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
    // Polling them in one task makes their order of arrival deterministic.
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
