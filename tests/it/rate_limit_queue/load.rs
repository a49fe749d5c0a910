//! Queues under load: the limit is used completely, and never exceeded.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::Algorithm;
use tokio::time::{Instant, advance, timeout};

use super::{ALGORITHMS, SECOND, most_in_a_window, random, shared, stores::WindowStore, under_load};

#[tokio::test(start_paused = true)]
async fn the_whole_limit_is_used_at_five_times_the_load() {
    for algorithm in ALGORITHMS {
        for give_up_after in [500, 1_000, 2_000, 4_900].map(Duration::from_millis) {
            let started = under_load(shared(10, SECOND, 5 * SECOND, algorithm), give_up_after).await;
            println!("{algorithm:?}, giving up after {give_up_after:?}: {} of 600", started.len());
            assert!(started.len() >= 590, "{algorithm:?}, {give_up_after:?}: {}", started.len());
            let most = most_in_a_window(&started, SECOND);
            match algorithm {
                Algorithm::Gcra => assert!(started.len() <= 610 && most <= 20, "{give_up_after:?}: {most}"),
                _ => assert!(most <= 10, "{give_up_after:?}: {most}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_limit_of_a_store_is_used_at_five_times_the_load() {
    for latency in [0, 1, 3, 10, 25].map(Duration::from_millis) {
        for give_up_after in [500, 1_000, 2_000, 4_900].map(Duration::from_millis) {
            let store = WindowStore::new(latency);
            let started = under_load(store.limit(10, SECOND, 5 * SECOND), give_up_after).await;
            println!(
                "latency {latency:?}, giving up after {give_up_after:?}: {} of 600, {} requests",
                started.len(),
                store.requests()
            );
            assert!((588..=610).contains(&started.len()), "{latency:?}, {give_up_after:?}: {}", started.len());
            assert!(most_in_a_window(&started, SECOND) <= 10);
            assert!(store.requests() <= 3_000, "at most one request for each of 3,000 calls: {}", store.requests());
        }
    }
}

/// The executor stalls for 12 ms at random moments, while waiting calls start and give up.
#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_the_start_times_of_calls_if_the_executor_stalls() {
    const PER: Duration = Duration::from_millis(100);
    for (seed, calls) in [(1_u64, 1_u32), (2, 3), (3, 8)] {
        let mut random = random(seed);
        let limit = shared(calls, PER, 3 * PER, Algorithm::SlidingWindow);
        let (start, started) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        for _ in 0..4_000 {
            let (limit, started, give_up_after) = (limit.clone(), started.clone(), 1 + random(400));
            tokio::spawn(async move {
                if let Ok(Ok(())) = timeout(Duration::from_millis(give_up_after), limit.acquire_async()).await {
                    started.lock().unwrap().push(start.elapsed());
                }
            });
            let stall = if random(8) == 0 { 12_000 } else { random(4_000) };
            advance(Duration::from_micros(stall)).await;
        }
        let started = started.lock().unwrap().clone();
        assert!(most_in_a_window(&started, PER) <= calls as usize, "{started:?}");
        let possible = start.elapsed().as_millis() / PER.as_millis() * u128::from(calls);
        // Each call may start late by the duration of one stall.
        assert!(started.len() as u128 >= possible * 4 / 5, "{} of {possible}", started.len());
    }
}
