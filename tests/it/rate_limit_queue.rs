//! Calls that wait for a rate limit: a queue from which callers may go at any moment, with no capacity lost and no window above
//! the limit.

mod idle;
mod model;
mod questions;
mod store;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use steadfast::{
    Algorithm, KeyedRateLimits, RateLimit, RateLimitConfig, RateLimited, StopSignal, rate_limit, retry,
    testing::FakeClock,
};
use tokio::{
    runtime::Builder,
    task::yield_now,
    time::{Instant, advance, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

type Call<'l> = Pin<Box<dyn Future<Output = Result<(), RateLimited>> + Send + 'l>>;

fn limit(calls: u32, per: Duration, wait: Duration, algorithm: Algorithm) -> RateLimit {
    RateLimit::new("queue", RateLimitConfig::new(calls, per).max_wait(wait).algorithm(algorithm))
}

fn shared(calls: u32, per: Duration, wait: Duration, algorithm: Algorithm) -> Arc<RateLimit> {
    Arc::new(limit(calls, per, wait, algorithm))
}

/// Polls once, with a waker that does nothing.
fn poll<T>(call: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

/// A call that waits, polled once.
fn waiting(limit: &RateLimit) -> Call<'_> {
    let mut call: Call<'_> = Box::pin(limit.acquire_async());
    assert!(poll(&mut call).is_pending());
    call
}

/// Lets all tasks run that can run now.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// Numbers below what is asked for, the same for the same seed.
fn random(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

/// Most of the moments that any window of that length has, its end not included.
fn most_in_a_window(moments: &[Duration], per: Duration) -> usize {
    let within = |start: &Duration| moments.iter().filter(|moment| (*start..*start + per).contains(moment)).count();
    moments.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_queue_of_callers_who_give_up_waits_for_one_call() {
    for algorithm in ALGORITHMS {
        let limit = limit(1, 10 * SECOND, 100 * SECOND, algorithm);
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
        assert_eq!(start.elapsed(), 10 * SECOND, "{algorithm:?}");
        assert_eq!((limit.snapshot().waiting, limit.snapshot().admitted), (0, 2));
    }
}

/// Calls every 20 ms, each of which gives up after `patience`, for a minute; when those that were made have started.
async fn under_load(limit: Arc<RateLimit>, patience: Duration) -> Vec<Duration> {
    let (start, started) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    while start.elapsed() < 60 * SECOND {
        let (limit, started) = (limit.clone(), started.clone());
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout(patience, limit.acquire_async()).await {
                started.lock().unwrap().push(start.elapsed());
            }
        });
        sleep(Duration::from_millis(20)).await;
    }
    let mut started = started.lock().unwrap();
    std::mem::take(&mut *started)
}

#[tokio::test(start_paused = true)]
async fn under_five_times_the_load_all_that_the_limit_allows_is_served() {
    for algorithm in ALGORITHMS {
        for patience in [500, 1_000, 2_000, 4_900].map(Duration::from_millis) {
            let started = under_load(shared(10, SECOND, 5 * SECOND, algorithm), patience).await;
            println!("{algorithm:?}, patience of {patience:?}: {} of 600", started.len());
            assert!(started.len() >= 590, "{algorithm:?}, {patience:?}: {}", started.len());
            let most = most_in_a_window(&started, SECOND);
            match algorithm {
                Algorithm::Gcra => assert!(started.len() <= 610 && most <= 20, "{patience:?}: {most}"),
                _ => assert!(most <= 10, "{patience:?}: {most}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_never_admits_more_than_its_burst_at_one_instant() {
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
    assert_eq!(now, 0, "the last has just been admitted");
    advance(10 * SECOND).await;
    assert_eq!((0..8).filter(|_| limit.try_acquire().is_ok()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_raised_serves_those_who_wait_at_once_and_in_order() {
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
        settle().await;
        assert_eq!((limit.snapshot().waiting, order.lock().unwrap().len()), (50, 0));
        limit.reconfigure(RateLimitConfig::new(1_000, 60 * SECOND).max_wait(SECOND).algorithm(algorithm));
        // One that comes now does not overtake them.
        limit.acquire_async().await.unwrap();
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>(), "{algorithm:?}");
        assert_eq!((start.elapsed(), limit.snapshot().waiting), (Duration::ZERO, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_and_settings_for_all_keys_serve_those_who_wait_at_once() {
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
        settle().await;
        keyed.reconfigure(RateLimitConfig::new(2, 60 * SECOND));
    };
    let (ada, grace, ()) = tokio::join!(ada, grace, raise);
    assert_eq!((ada, grace), (Ok(()), Ok(())));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn settings_that_allow_less_hold_for_those_who_wait() {
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
    settle().await;
    limit.reconfigure(RateLimitConfig::new(1, 2 * SECOND).max_wait(3 * SECOND));
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert_eq!(results.remove(0), Ok(2 * SECOND));
    // They have waited as long as they were to.
    assert_eq!(start.elapsed(), 3 * SECOND);
    for result in results {
        let error = result.unwrap_err();
        assert!(error.retry_after() >= SECOND, "{error}");
    }
    assert_eq!(limit.snapshot().waiting, 0);
}

/// The executor stands still for 12 ms now and then, while calls that wait come and go.
#[tokio::test(start_paused = true)]
async fn the_limit_holds_by_the_moments_at_which_calls_start_on_an_executor_that_stalls() {
    const PER: Duration = Duration::from_millis(100);
    for (seed, calls) in [(1_u64, 1_u32), (2, 3), (3, 8)] {
        let mut random = random(seed);
        let limit = shared(calls, PER, 3 * PER, Algorithm::SlidingWindow);
        let (start, started) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        for _ in 0..4_000 {
            let (limit, started, patience) = (limit.clone(), started.clone(), 1 + random(400));
            tokio::spawn(async move {
                if let Ok(Ok(())) = timeout(Duration::from_millis(patience), limit.acquire_async()).await {
                    started.lock().unwrap().push(start.elapsed());
                }
            });
            let stall = if random(8) == 0 { 12_000 } else { random(4_000) };
            advance(Duration::from_micros(stall)).await;
        }
        let started = started.lock().unwrap().clone();
        assert!(most_in_a_window(&started, PER) <= calls as usize, "{started:?}");
        let possible = start.elapsed().as_millis() / PER.as_millis() * u128::from(calls);
        // Each call may begin a stall later than it could.
        assert!(started.len() as u128 >= possible * 4 / 5, "{} of {possible}", started.len());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes() {
    let limit = limit(2, SECOND, 10 * SECOND, Algorithm::SlidingWindow);
    for _ in 0..2 {
        limit.try_acquire().unwrap();
    }
    let (mut first, mut second, mut third) = (waiting(&limit), waiting(&limit), waiting(&limit));
    advance(SECOND).await;
    assert!(poll(&mut third).is_pending());
    let error = limit.try_acquire().unwrap_err();
    assert_eq!(error.retry_after(), SECOND, "three come first, two of them now");
    assert!(poll(&mut second).is_pending(), "the first comes before");
    assert_eq!(poll(&mut first), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut second), Poll::Ready(Ok(())));
    assert!(poll(&mut third).is_pending());
    drop(third);
    advance(SECOND).await;
    limit.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_asks_without_patience_has_what_those_who_wait_leave() {
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
async fn a_rejection_counts_those_who_come_before() {
    for (algorithm, first_free, of_try) in
        [(Algorithm::SlidingWindow, SECOND, 3 * SECOND), (Algorithm::Gcra, SECOND / 2, SECOND * 5 / 2)]
    {
        let limit = limit(2, SECOND, 2 * SECOND, algorithm);
        for _ in 0..2 {
            limit.try_acquire().unwrap();
        }
        assert_eq!(limit.try_acquire().unwrap_err().retry_after(), first_free);
        let mut calls: Vec<_> = (0..4).map(|_| waiting(&limit)).collect();
        assert_eq!(limit.try_acquire().unwrap_err().retry_after(), of_try, "{algorithm:?}");
        assert_eq!(limit.acquire_async().await.unwrap_err().retry_after(), of_try, "at once");
        // With one less there is a place in time.
        drop(calls.remove(1));
        calls.push(waiting(&limit));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_and_gives_up_hands_over_at_once() {
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
        settle().await;
        advance(10 * SECOND).await;
        // All of them before they run, but the last.
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

#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_polls_holds_nobody_up_for_long() {
    for algorithm in ALGORITHMS {
        let limit = limit(1, 10 * SECOND, 3_600 * SECOND, algorithm);
        limit.try_acquire().unwrap();
        let start = Instant::now();
        let mut idle = waiting(&limit);
        let leaked = waiting(&limit);
        std::mem::forget(leaked);
        for served in 1..=5 {
            limit.acquire_async().await.unwrap();
            let late = start.elapsed().checked_sub(served * 10 * SECOND).expect("not before its time");
            assert!(late < 10 * SECOND, "{algorithm:?}: {late:?}");
        }
        assert_eq!(limit.snapshot().waiting, 0);
        // Polled again, it is the first as before.
        let other = waiting(&limit);
        idle.as_mut().await.unwrap();
        drop(other);
    }
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_breaks_nothing() {
    let limit = limit(1, SECOND, 100 * SECOND, Algorithm::SlidingWindow);
    limit.try_acquire().unwrap();
    let waker = Waker::from(Arc::new(Panics));
    let mut panics: Call<'_> = Box::pin(limit.acquire_async());
    let first = waiting(&limit);
    let context = &mut Context::from_waker(&waker);
    assert!(panics.as_mut().poll(context).is_pending());
    let mut last = pin!(limit.acquire_async());
    assert!(last.as_mut().poll(context).is_pending());
    drop(first);
    limit.reconfigure(RateLimitConfig::new(2, SECOND));
    assert_eq!(panics.as_mut().poll(context), Poll::Ready(Ok(())));
    limit.reset();
    assert_eq!(last.as_mut().poll(context), Poll::Ready(Ok(())));
}

/// A waker that notes that it was used.
#[derive(Default)]
struct Notes(AtomicU32);

impl Wake for Notes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_waker_of_the_last_poll_is_the_one_that_is_used() {
    let limit = limit(1, SECOND, 100 * SECOND, Algorithm::SlidingWindow);
    limit.try_acquire().unwrap();
    let notes = [Arc::new(Notes::default()), Arc::new(Notes::default())];
    let mut call: Call<'_> = Box::pin(limit.acquire_async());
    for notes in &notes {
        let waker = Waker::from(notes.clone());
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    limit.reset();
    assert_eq!(notes.map(|notes| notes.0.load(Ordering::Relaxed)), [0, 1]);
    assert_eq!(poll(&mut call), Poll::Ready(Ok(())));
}

#[test]
fn threads_and_tasks_stand_in_one_queue() {
    static MIXED: RateLimit = RateLimit::new("mixed", RateLimitConfig::new(1, HOUR).max_wait(HOUR));
    const HOUR: Duration = Duration::from_hours(1);
    MIXED.try_acquire().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (mut tasks, mut threads) = (Vec::new(), Vec::new());
    // The waits of all are over before an hour is, and nobody comes before its turn.
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
        crate::wait_until(|| MIXED.snapshot().waiting > number);
    }
    for admitted in 1..=10 {
        MIXED.reset();
        crate::wait_until(|| order.lock().unwrap().len() == admitted);
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

#[rate_limit(name = "a thread beside a paused clock", limit = 1, per = 5ms, max_wait = 1s)]
fn on_a_thread() -> Result<(), RateLimited> {
    Ok(())
}

/// The clock of the runtime stands still, that of the thread does not.
#[tokio::test(start_paused = true)]
async fn a_thread_waits_beside_a_clock_that_stands_still() {
    for _ in 0..4 {
        on_a_thread().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_beside_a_clock_that_stands_still() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    for algorithm in ALGORITHMS {
        let limit = limit(1, SECOND, 10 * SECOND, algorithm);
        for _ in 0..4 {
            limit.acquire_async().await.unwrap();
        }
    }
}

/// Each with a clock of its own, hours apart, and one after the other in a queue.
#[test]
fn waiters_with_other_clocks_are_all_served() {
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
            // One may have been ready by its own clock.
            let is_served = runtime.block_on(async { timeout(60 * SECOND, call).await });
            assert_eq!(is_served, Ok(Ok(())), "{hours:?}");
        }
    }
}

static SHUTDOWN: StopSignal = StopSignal::new();

#[retry(max_attempts = 5, backoff = none, retry_if = any, stop_on = SHUTDOWN)]
#[rate_limit(name = "stopped", limit = 1, per = 1h, max_wait = 2h)]
async fn stopped_in_a_task() -> Result<(), RateLimited> {
    Ok(())
}

#[retry(max_attempts = 5, backoff = none, retry_if = any, stop_on = SHUTDOWN)]
#[rate_limit(name = "stopped")]
fn stopped_on_a_thread() -> Result<(), RateLimited> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stop_signal_ends_a_wait_with_the_rejection() {
    let limit = rate_limit("stopped").unwrap();
    limit.try_acquire().unwrap();
    let start = Instant::now();
    let thread = thread::spawn(stopped_on_a_thread);
    crate::wait_until(|| limit.snapshot().waiting == 1);
    let task = tokio::spawn(stopped_in_a_task());
    settle().await;
    assert_eq!(limit.snapshot().waiting, 2);
    SHUTDOWN.stop();
    let error = task.await.unwrap().unwrap_err();
    assert!(error.retry_after() > Duration::from_mins(59), "{error}");
    thread.join().unwrap().unwrap_err();
    assert_eq!((start.elapsed(), limit.snapshot().waiting), (Duration::ZERO, 0));
}
