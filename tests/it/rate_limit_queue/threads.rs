//! Waits of threads and tasks together, under different clocks, and until a stop signal.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use steadfast::{
    Algorithm, RateLimit, RateLimitConfig, RateLimited, StopSignal, rate_limit, retry, testing::FakeClock,
};
use tokio::{
    runtime::Builder,
    time::{advance, timeout},
};

use super::{ALGORITHMS, Call, SECOND, limit, poll, run_ready_tasks};

#[test]
fn threads_and_tasks_share_one_queue() {
    static MIXED: RateLimit = RateLimit::new("mixed", RateLimitConfig::new(1, HOUR).max_wait(HOUR));
    const HOUR: Duration = Duration::from_hours(1);
    MIXED.try_acquire().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (mut tasks, mut threads) = (Vec::new(), Vec::new());
    // The maximum wait is longer than any wait in this test, so that no call is rejected.
    MIXED.reconfigure(RateLimitConfig::new(1, HOUR).max_wait(24 * HOUR));
    for number in 0..10 {
        let order = order.clone();
        if number % 2 == 0 {
            tasks.push(runtime.spawn(async move {
                MIXED.acquire_async().await.unwrap();
                order.lock().unwrap().push(number);
            }));
        } else {
            threads.push(thread::spawn(move || {
                MIXED.acquire().unwrap();
                order.lock().unwrap().push(number);
            }));
        }
        crate::support::wait_until(|| MIXED.snapshot().waiting > number);
    }
    for admitted in 1..=10 {
        MIXED.reset();
        crate::support::wait_until(|| order.lock().unwrap().len() == admitted);
    }
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!((MIXED.snapshot().waiting, MIXED.snapshot().admitted), (0, 11));
}

#[rate_limit(name = "a thread next to a paused clock", limit = 1, per = 5ms, max_wait = 1s)]
fn on_a_thread() -> Result<(), RateLimited> {
    Ok(())
}

/// The clock of the runtime is paused; that of the thread is not.
#[tokio::test(start_paused = true)]
async fn a_thread_waits_by_its_own_clock_next_to_a_paused_runtime() {
    for _ in 0..4 {
        on_a_thread().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_by_the_clock_of_the_runtime_next_to_a_fake_clock() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    for algorithm in ALGORITHMS {
        let limit = limit(1, SECOND, 10 * SECOND, algorithm);
        for _ in 0..4 {
            limit.acquire_async().await.unwrap();
        }
    }
}

/// Two waiters in one queue, with clocks that are hours apart.
#[test]
fn waiters_with_different_clocks_are_all_served() {
    for hours in [[0, 5], [5, 0]] {
        let limit = &limit(1, SECOND, 30 * SECOND, Algorithm::SlidingWindow);
        let mut runtimes = hours.map(|hours| {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(advance(Duration::from_hours(hours)));
            (runtime, Box::pin(limit.acquire_async()) as Call<'_>)
        });
        runtimes[0].0.block_on(async { limit.try_acquire().unwrap() });
        for (runtime, call) in &mut runtimes {
            _ = runtime.block_on(async { poll(call) });
        }
        for (runtime, call) in &mut runtimes {
            // The call may already be ready by its own clock.
            let is_served = runtime.block_on(async { timeout(60 * SECOND, call).await });
            assert_eq!(is_served, Ok(Ok(())), "{hours:?}");
        }
    }
}

static SHUTDOWN: StopSignal = StopSignal::new();

#[retry(max_attempts = 5, backoff = none, retry_if = any, stop_on = SHUTDOWN)]
#[rate_limit(name = "stopped", limit = 1, per = 1h, max_wait = 2h)]
async fn stopped_task() -> Result<(), RateLimited> {
    Ok(())
}

#[retry(max_attempts = 5, backoff = none, retry_if = any, stop_on = SHUTDOWN)]
#[rate_limit(name = "stopped")]
fn stopped_thread() -> Result<(), RateLimited> {
    Ok(())
}

// The clock is not paused: the thread reads the real one.
#[tokio::test]
async fn a_stop_signal_ends_a_wait_with_the_rejection() {
    let limit = rate_limit("stopped").unwrap();
    limit.try_acquire().unwrap();
    let thread = thread::spawn(stopped_thread);
    crate::support::wait_until(|| limit.snapshot().waiting == 1);
    let task = tokio::spawn(stopped_task());
    run_ready_tasks().await;
    assert_eq!(limit.snapshot().waiting, 2);
    SHUTDOWN.stop();
    let error = task.await.unwrap().unwrap_err();
    assert!(error.retry_after() > Duration::from_mins(59), "{error}");
    thread.join().unwrap().unwrap_err();
    assert_eq!(limit.snapshot().waiting, 0);
}
