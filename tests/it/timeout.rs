//! Timeouts of one attempt, of all attempts together, and at every position in a stack.

use std::{
    cell::Cell,
    future::{Future, pending},
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{
    BreakerState, CircuitOpen, Jitter, RetryPolicy, Schedule, TimedOut, Timeout, Transient, breaker, circuit_breaker,
    events::{self, Event},
    retry, timeout,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_millis(1_500);

#[derive(Debug, thiserror::Error, Transient)]
enum Failure {
    #[error(transparent)]
    #[transient(inherit)]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

/// A value that counts its drops.
struct Dropped<'a>(&'a Cell<u32>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[timeout(2s)]
async fn sleeps_for(seconds: u64, dropped: &Cell<u32>) -> io::Result<u64> {
    let _dropped = Dropped(dropped);
    sleep(SECOND * u32::try_from(seconds).unwrap()).await;
    Ok(seconds)
}

#[timeout(LIMIT, name = "by a constant")]
async fn by_constant() -> Result<(), Failure> {
    pending().await
}

#[timeout(1ms)]
async fn optional(waits: bool) -> Option<u8> {
    if waits {
        pending::<()>().await;
    }
    Some(1)
}

#[timeout(1s)]
async fn boxed_error() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    pending().await
}

#[timeout(1s)]
fn future() -> impl Future<Output = io::Result<()>> + Send {
    pending()
}

#[timeout(1s)]
fn boxed_future<'a>(waits: &'a bool) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>> {
    Box::pin(async move { if *waits { pending().await } else { Ok(()) } })
}

#[tokio::test(start_paused = true)]
async fn a_call_over_its_limit_is_dropped_at_its_await() {
    for (seconds, ends_after) in [(0, Ok(0)), (1, Ok(1)), (2, Ok(2)), (3, Err(2)), (100, Err(2))] {
        let (start, dropped) = (Instant::now(), Cell::new(0));
        let result = sleeps_for(seconds, &dropped).await;
        let after = start.elapsed().as_secs();
        assert_eq!(
            result.as_ref().map(|_| after).map_err(|_| after),
            ends_after.as_ref().copied().map_err(|after| *after)
        );
        assert_eq!(dropped.get(), 1, "{seconds}");
        if let Err(error) = result {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(error.to_string(), "`it::timeout::sleeps_for` took longer than 2s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_is_converted_to_the_callers_type() {
    let Err(Failure::TimedOut(error)) = by_constant().await else { panic!("a pending call returned") };
    assert_eq!((error.name(), error.limit()), ("by a constant", LIMIT));
    assert!(error.is_transient());
    assert_eq!((optional(true).await, optional(false).await), (None, Some(1)));
    assert!(boxed_error().await.unwrap_err().is::<TimedOut>());
    assert_eq!(future().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    boxed_future(&true).await.unwrap_err();
    boxed_future(&false).await.unwrap();
}

#[timeout(10s)]
#[retry(max_attempts = 100, backoff = fixed(1s), jitter = none)]
#[timeout(2s)]
async fn total_and_each(calls: &Cell<u32>) -> Result<(), Failure> {
    calls.set(calls.get() + 1);
    pending().await
}

#[retry(max_attempts = 3, backoff = fixed(1s), jitter = none)]
#[timeout(2s)]
async fn each(calls: &Cell<u32>, owned: String) -> Result<String, Failure> {
    calls.set(calls.get() + 1);
    if calls.get() < 3 {
        pending::<()>().await;
    }
    Ok(owned)
}

#[timeout(1s, allow_order)]
#[timeout(5s)]
async fn outer_is_shorter() -> io::Result<()> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_limits_each_attempt_or_all_attempts_together() {
    let (start, calls) = (Instant::now(), Cell::new(0));
    let Err(Failure::TimedOut(error)) = total_and_each(&calls).await else { panic!("a pending call returned") };
    assert_eq!(
        (error.limit(), start.elapsed(), calls.get()),
        (SECOND * 10, SECOND * 10, 4),
        "attempts at 0, 3, 6 and 9 s"
    );

    let (start, calls) = (Instant::now(), Cell::new(0));
    assert_eq!(each(&calls, "kept".to_owned()).await.unwrap(), "kept");
    assert_eq!((start.elapsed(), calls.get()), (SECOND * 6, 3));

    let start = Instant::now();
    outer_is_shorter().await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
}

#[retry(max_attempts = 100, backoff = fixed(4s), jitter = none)]
async fn takes_a_second_and_fails(calls: &Cell<u32>) -> io::Result<()> {
    sleep(SECOND).await;
    calls.set(calls.get() + 1);
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("failure {}", calls.get())))
}

#[timeout(9s)]
async fn nine_seconds(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(9s)]
#[retry(max_attempts = 100, backoff = fixed(4s), jitter = none)]
async fn on_one_function(calls: &Cell<u32>) -> io::Result<()> {
    sleep(SECOND).await;
    calls.set(calls.get() + 1);
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("failure {}", calls.get())))
}

#[timeout(9s, allow_order)]
#[timeout(60s)]
async fn shorter_outside(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(60s, allow_order)]
#[timeout(9s)]
async fn shorter_inside(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(9s)]
#[retry(max_elapsed = 60s, retry_if = |_| false)]
async fn with_a_retry_between(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(60s)]
#[retry(max_elapsed = 9s, retry_if = |_| false)]
async fn with_a_shorter_retry_between(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(10s)]
async fn ten_seconds(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(9s)]
async fn by_policies(calls: &Cell<u32>) -> io::Result<()> {
    let policy = RetryPolicy::new().max_attempts(100).backoff(Schedule::fixed(4 * SECOND)).jitter(Jitter::none());
    policy
        .run_async(|| async {
            sleep(SECOND).await;
            calls.set(calls.get() + 1);
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("failure {}", calls.get())))
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn no_inner_retry_sleeps_past_the_timeout() {
    type Call = for<'a> fn(&'a Cell<u32>) -> Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

    let rows: [(&str, Call, u32, &str, u32); 9] = [
        ("called", |calls| Box::pin(nine_seconds(calls)), 6, "failure 2", 2),
        ("on one function", |calls| Box::pin(on_one_function(calls)), 6, "failure 2", 2),
        ("the outer of two timeouts is shorter", |calls| Box::pin(shorter_outside(calls)), 6, "failure 2", 2),
        ("the inner of two timeouts is shorter", |calls| Box::pin(shorter_inside(calls)), 6, "failure 2", 2),
        ("a retry in between", |calls| Box::pin(with_a_retry_between(calls)), 6, "failure 2", 2),
        ("a retry in between with less time", |calls| Box::pin(with_a_shorter_retry_between(calls)), 6, "failure 2", 2),
        ("by policies", |calls| Box::pin(by_policies(calls)), 6, "failure 2", 2),
        // A sleep that ends exactly at the timeout is allowed; the attempt after it times out.
        (
            "a sleep that ends at the timeout",
            |calls| Box::pin(ten_seconds(calls)),
            10,
            "`it::timeout::ten_seconds` took longer than 10s",
            2,
        ),
        ("no timeout any more", |calls| Box::pin(takes_a_second_and_fails(calls)), 496, "failure 100", 100),
    ];
    for (row, call, seconds, message, made) in rows {
        let (start, calls) = (Instant::now(), Cell::new(0));
        let error = call(&calls).await.unwrap_err();
        assert_eq!(
            (start.elapsed(), error.to_string().as_str(), calls.get()),
            (SECOND * seconds, message, made),
            "{row}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_next_to_a_limited_one_is_not_limited() {
    let (start, calls, others) = (Instant::now(), Cell::new(0), Cell::new(0));
    let (limited, unlimited) = tokio::join!(nine_seconds(&calls), takes_a_second_and_fails(&others));
    assert_eq!((limited.unwrap_err().to_string().as_str(), calls.get()), ("failure 2", 2));
    assert_eq!((unlimited.unwrap_err().to_string().as_str(), others.get()), ("failure 100", 100));
    assert_eq!(start.elapsed(), SECOND * 496);
    // A call that is dropped while it waits leaves no deadline behind.
    let mut dropped = Box::pin(nine_seconds(&calls));
    _ = tokio::time::timeout(3 * SECOND, &mut dropped).await;
    drop(dropped);
    let others = Cell::new(0);
    takes_a_second_and_fails(&others).await.unwrap_err();
    assert_eq!(others.get(), 100);
}

#[timeout(2s)]
#[retry(backoff = fixed(5s), jitter = none)]
async fn fails_at_once() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_starts_at_the_first_pending_poll() {
    let start = Instant::now();
    let error = fails_at_once().await.unwrap_err();
    assert_eq!(
        (start.elapsed(), error.to_string().as_str()),
        (2 * SECOND, "`it::timeout::fails_at_once` took longer than 2s")
    );
}

#[circuit_breaker(name = "timeout below breaker", failure_threshold = 2)]
#[timeout(1s)]
async fn below_breaker() -> Result<(), Failure> {
    pending().await
}

#[timeout(1s, allow_order)]
#[circuit_breaker(name = "timeout above breaker", failure_threshold = 2)]
async fn above_breaker() -> Result<(), Failure> {
    pending().await
}

#[retry(max_attempts = 5, backoff = none)]
#[timeout(1s)]
#[circuit_breaker(name = "timeout between", failure_threshold = 2)]
#[timeout(500ms)]
async fn between(calls: &Cell<u32>) -> Result<(), Failure> {
    calls.set(calls.get() + 1);
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_breaker_counts_only_timeouts_below_it() {
    for _ in 0..2 {
        assert!(matches!(below_breaker().await, Err(Failure::TimedOut(_))));
        assert!(matches!(above_breaker().await, Err(Failure::TimedOut(_))));
    }
    assert!(matches!(below_breaker().await, Err(Failure::Open(_))));
    let snapshot = breaker("timeout below breaker").unwrap().snapshot();
    assert_eq!((snapshot.failures, snapshot.rejections), (2, 1));
    let snapshot = breaker("timeout above breaker").unwrap().snapshot();
    assert_eq!(
        (snapshot.state, snapshot.failures, snapshot.cancelled),
        (BreakerState::Closed, 0, 2),
        "the calls were cancelled"
    );

    let calls = Cell::new(0);
    assert!(
        matches!(between(&calls).await, Err(Failure::Open(_))),
        "the retry recognises the rejection through the timeout"
    );
    assert_eq!(calls.get(), 2);
    assert_eq!(breaker("timeout between").unwrap().snapshot().rejections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_emits_an_event() {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let texts = texts.clone();
        move |event: &Event| {
            if matches!(event, Event::TimedOut { function: "reported", .. }) {
                texts.lock().unwrap().push(event.to_string());
            }
        }
    });
    let limit = const { Timeout::new(SECOND).name("reported") };
    let result: io::Result<()> = limit.run_async(async || pending().await).await;
    result.unwrap_err();
    let result: io::Result<u8> = limit.run_async(async || Ok(1)).await;
    assert_eq!(result.unwrap(), 1);
    crate::flush_events();
    subscription.unsubscribe();
    assert_eq!(*texts.lock().unwrap(), ["timeout: `reported` exceeded 1s"]);
}

/// A future that is pending for a number of polls, and counts its polls.
struct CountedPolls<'a>(u32, &'a Cell<u32>);

impl Future for CountedPolls<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.1.set(self.1.get() + 1);
        if self.0 == 0 {
            return Poll::Ready(Ok(()));
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[timeout(1s)]
async fn counts_polls(waits: u32, polls: &Cell<u32>) -> io::Result<()> {
    CountedPolls(waits, polls).await
}

#[test]
fn a_call_that_is_ready_at_once_needs_no_runtime() {
    let polls = Cell::new(0);
    let mut call = pin!(counts_polls(0, &polls));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(polls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_polled_once_per_wake() {
    for waits in 0..5 {
        let polls = Cell::new(0);
        counts_polls(waits, &polls).await.unwrap();
        assert_eq!(polls.get(), waits + 1);
        // Dropped after its first poll.
        let dropped = Cell::new(0);
        let mut call = Box::pin(sleeps_for(1, &dropped));
        _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(call);
        assert_eq!(dropped.get(), 1);
    }
}

/// Consumes the task's coop budget in an endless loop.
#[timeout(1s)]
async fn uses_up_budget() -> io::Result<()> {
    loop {
        tokio::task::coop::consume_budget().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_uses_up_the_coop_budget_times_out() {
    assert_eq!(uses_up_budget().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_the_range_of_the_clock_never_expires() {
    let limit = const { Timeout::new(Duration::MAX) };
    let result: io::Result<()> = limit
        .run_async(async || {
            sleep(Duration::from_hours(24 * 365)).await;
            Ok(())
        })
        .await;
    result.unwrap();
}

#[test]
#[should_panic(expected = "a timeout must be longer than 0")]
fn a_limit_of_zero_panics() {
    _ = Timeout::new(Duration::ZERO);
}
