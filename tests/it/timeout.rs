//! Limits of time: for one attempt, for all of them, and in every place of a stack.

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

/// Notes that it was dropped.
struct Dropped<'a>(&'a Cell<u32>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[timeout(2s)]
async fn takes(seconds: u64, dropped: &Cell<u32>) -> io::Result<u64> {
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
async fn what_takes_longer_is_dropped_where_it_stands() {
    for (seconds, ends_after) in [(0, Ok(0)), (1, Ok(1)), (2, Ok(2)), (3, Err(2)), (100, Err(2))] {
        let (start, dropped) = (Instant::now(), Cell::new(0));
        let result = takes(seconds, &dropped).await;
        let after = start.elapsed().as_secs();
        assert_eq!(
            result.as_ref().map(|_| after).map_err(|_| after),
            ends_after.as_ref().copied().map_err(|after| *after)
        );
        assert_eq!(dropped.get(), 1, "{seconds}");
        if let Err(error) = result {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(error.to_string(), "`it::timeout::takes` took longer than 2s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_is_the_callers() {
    let Err(Failure::TimedOut(error)) = by_constant().await else { panic!("it never ends") };
    assert_eq!((error.function(), error.limit()), ("by a constant", LIMIT));
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

#[timeout(1s)]
#[timeout(5s)]
async fn the_outer_is_shorter() -> io::Result<()> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn each_attempt_and_all_together() {
    let (start, calls) = (Instant::now(), Cell::new(0));
    let Err(Failure::TimedOut(error)) = total_and_each(&calls).await else { panic!("it never ends") };
    assert_eq!((error.limit(), start.elapsed(), calls.get()), (SECOND * 10, SECOND * 10, 4), "at 0, 3, 6 and 9 s");

    let (start, calls) = (Instant::now(), Cell::new(0));
    assert_eq!(each(&calls, "kept".to_owned()).await.unwrap(), "kept");
    assert_eq!((start.elapsed(), calls.get()), (SECOND * 6, 3));

    let start = Instant::now();
    the_outer_is_shorter().await.unwrap_err();
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

#[timeout(9s)]
#[timeout(60s)]
async fn the_shorter_around(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(60s)]
#[timeout(9s)]
async fn the_shorter_within(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(9s)]
#[retry(max_elapsed = 60s, retry_if = |_| false)]
async fn with_a_retry_between(calls: &Cell<u32>) -> io::Result<()> {
    takes_a_second_and_fails(calls).await
}

#[timeout(60s)]
#[retry(max_elapsed = 9s, retry_if = |_| false)]
async fn a_retry_has_less_time(calls: &Cell<u32>) -> io::Result<()> {
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
async fn no_retry_within_sleeps_past_the_limit() {
    type Call = for<'a> fn(&'a Cell<u32>) -> Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

    let rows: [(&str, Call, u32, &str, u32); 9] = [
        ("called", |calls| Box::pin(nine_seconds(calls)), 6, "failure 2", 2),
        ("on one function", |calls| Box::pin(on_one_function(calls)), 6, "failure 2", 2),
        ("the outer of two limits", |calls| Box::pin(the_shorter_around(calls)), 6, "failure 2", 2),
        ("the inner of two limits", |calls| Box::pin(the_shorter_within(calls)), 6, "failure 2", 2),
        ("a retry between", |calls| Box::pin(with_a_retry_between(calls)), 6, "failure 2", 2),
        ("a retry between with less time", |calls| Box::pin(a_retry_has_less_time(calls)), 6, "failure 2", 2),
        ("by policies", |calls| Box::pin(by_policies(calls)), 6, "failure 2", 2),
        // A sleep that ends with the limit is begun; the attempt after it is one that takes too long.
        (
            "just long enough",
            |calls| Box::pin(ten_seconds(calls)),
            10,
            "`it::timeout::ten_seconds` took longer than 10s",
            2,
        ),
        ("no limit any more", |calls| Box::pin(takes_a_second_and_fails(calls)), 496, "failure 100", 100),
    ];
    for (row, call, seconds, said, made) in rows {
        let (start, calls) = (Instant::now(), Cell::new(0));
        let error = call(&calls).await.unwrap_err();
        assert_eq!((start.elapsed(), error.to_string().as_str(), calls.get()), (SECOND * seconds, said, made), "{row}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_beside_a_limited_call_is_not_limited() {
    let (start, calls, others) = (Instant::now(), Cell::new(0), Cell::new(0));
    let (limited, free) = tokio::join!(nine_seconds(&calls), takes_a_second_and_fails(&others));
    assert_eq!((limited.unwrap_err().to_string().as_str(), calls.get()), ("failure 2", 2));
    assert_eq!((free.unwrap_err().to_string().as_str(), others.get()), ("failure 100", 100));
    assert_eq!(start.elapsed(), SECOND * 496);
    // Dropped where it waits, it leaves nothing behind either.
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
async fn the_limit_is_known_once_the_call_has_waited() {
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

#[timeout(1s)]
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
async fn a_breaker_counts_what_it_sees() {
    for _ in 0..2 {
        assert!(matches!(below_breaker().await, Err(Failure::TimedOut(_))));
        assert!(matches!(above_breaker().await, Err(Failure::TimedOut(_))));
    }
    assert!(matches!(below_breaker().await, Err(Failure::Open(_))));
    let snapshot = breaker("timeout below breaker").unwrap().snapshot();
    assert_eq!((snapshot.failures, snapshot.rejections), (2, 1));
    let snapshot = breaker("timeout above breaker").unwrap().snapshot();
    assert_eq!((snapshot.state, snapshot.failures, snapshot.neutral), (BreakerState::Closed, 0, 2), "dropped calls");

    let calls = Cell::new(0);
    assert!(
        matches!(between(&calls).await, Err(Failure::Open(_))),
        "the retry hears of the rejection through the limit"
    );
    assert_eq!(calls.get(), 2);
    assert_eq!(breaker("timeout between").unwrap().snapshot().rejections, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_tells_of_it() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let subscription = events::subscribe({
        let heard = heard.clone();
        move |event: &Event| {
            if matches!(event, Event::TimedOut { function: "told of", .. }) {
                heard.lock().unwrap().push(event.to_string());
            }
        }
    });
    let limit = const { Timeout::new(SECOND).name("told of") };
    let result: io::Result<()> = limit.run_async(async || pending().await).await;
    result.unwrap_err();
    let result: io::Result<u8> = limit.run_async(async || Ok(1)).await;
    assert_eq!(result.unwrap(), 1);
    subscription.unsubscribe();
    assert_eq!(*heard.lock().unwrap(), ["timeout: `told of` took longer than 1s"]);
}

/// Waits so often for nothing, and counts how often it was asked.
struct Asked<'a>(u32, &'a Cell<u32>);

impl Future for Asked<'_> {
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
async fn asks(waits: u32, asked: &Cell<u32>) -> io::Result<()> {
    Asked(waits, asked).await
}

#[test]
fn a_call_that_never_waits_needs_no_runtime() {
    let asked = Cell::new(0);
    let mut call = pin!(asks(0, &asked));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(asked.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_asked_once_each_time() {
    for waits in 0..5 {
        let asked = Cell::new(0);
        asks(waits, &asked).await.unwrap();
        assert_eq!(asked.get(), waits + 1);
        // Dropped at every await.
        let dropped = Cell::new(0);
        let mut call = Box::pin(takes(1, &dropped));
        _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(call);
        assert_eq!(dropped.get(), 1);
    }
}

/// Never lets go of its turn: it uses up what tokio gives a task between two waits.
#[timeout(1s)]
async fn greedy() -> io::Result<()> {
    loop {
        tokio::task::coop::consume_budget().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_uses_up_its_turns_is_limited_all_the_same() {
    assert_eq!(greedy().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_limit_past_the_end_of_the_clock_never_comes() {
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
fn a_limit_of_nothing_is_refused() {
    _ = Timeout::new(Duration::ZERO);
}
