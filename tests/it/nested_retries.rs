//! Retries inside retries: which of them makes further attempts, up to which deadline, with inherited and with independent nesting.

use std::{io, time::Duration};

use steadfast::{
    Jitter, Nested, RetryPolicy, Schedule, retry,
    testing::{FakeClock, Script},
};
use tokio::time::Instant;

type Calls = Script<io::Result<()>>;

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Calls {
    Script::always(|| Err(io::ErrorKind::TimedOut.into()))
}

#[retry(backoff = none, nested = inherit)]
fn inherits(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(backoff = none, nested = inherit)]
async fn inherits_async(calls: &Calls) -> io::Result<()> {
    tokio::task::yield_now().await;
    calls.call()
}

#[retry(backoff = none, nested = independent)]
fn independent(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(max_attempts = 4, backoff = none)]
fn around(calls: &Calls, inner: fn(&Calls) -> io::Result<()>) -> io::Result<()> {
    inner(calls)
}

#[retry(max_attempts = 4, backoff = none)]
async fn around_async(calls: &Calls) -> io::Result<()> {
    inherits_async(calls).await
}

#[retry(max_attempts = 4, backoff = none)]
async fn around_sync(calls: &Calls) -> io::Result<()> {
    tokio::task::yield_now().await;
    inherits(calls)
}

#[retry(max_attempts = 1)]
fn around_once(calls: &Calls) -> io::Result<()> {
    inherits(calls)
}

#[tokio::test]
async fn an_inner_retry_with_nested_inherit_makes_one_attempt() {
    let counted = |result: io::Result<()>, calls: Calls| {
        result.unwrap_err();
        calls.calls()
    };
    let calls = failing();
    assert_eq!(counted(inherits(&calls), calls), 3, "not nested, it makes its own attempts");
    let calls = failing();
    assert_eq!(counted(around(&calls, inherits), calls), 4);
    let calls = failing();
    assert_eq!(counted(around(&calls, independent), calls), 12);
    let calls = failing();
    assert_eq!(counted(around_async(&calls).await, calls), 4);
    let calls = failing();
    assert_eq!(counted(around_sync(&calls).await, calls), 4);
    let calls = failing();
    assert_eq!(counted(around_once(&calls), calls), 3, "a single attempt is no retry");
    let calls = failing();
    assert_eq!(counted(inherits_async(&calls).await, calls), 3, "the nesting has ended");
    // A spawned task is not nested.
    let policy = RetryPolicy::new().backoff(Schedule::none());
    let spawned = policy.run_async(|| async {
        let calls = failing();
        let task = async move { (inherits_async(&calls).await, calls.calls()) };
        let (result, made) = tokio::spawn(task).await.unwrap();
        assert_eq!(made, 3);
        result
    });
    spawned.await.unwrap_err();
    // The same with policies instead of attributes.
    let (inner, calls) = (policy.nested(Nested::Inherit), failing());
    policy.run(|| inner.run(|| calls.call())).unwrap_err();
    assert_eq!(calls.calls(), 3);
}

#[test]
fn a_panic_ends_the_nesting() {
    #[retry(backoff = none)]
    fn panics() -> io::Result<()> {
        std::panic::resume_unwind(Box::new(()))
    }

    std::panic::catch_unwind(panics).unwrap_err();
    let calls = failing();
    inherits(&calls).unwrap_err();
    assert_eq!(calls.calls(), 3);
}

#[tokio::test]
async fn a_cancelled_attempt_ends_the_nesting() {
    #[retry(backoff = none)]
    async fn hangs() -> io::Result<()> {
        std::future::pending().await
    }

    let mut hanging = Box::pin(hangs());
    assert!(poll_once(&mut hanging).is_pending());
    let calls = failing();
    inherits(&calls).unwrap_err();
    assert_eq!(calls.calls(), 3, "not nested while another call is pending");
    drop(hanging);
}

fn poll_once<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
    future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[retry(max_attempts = 10, backoff = fixed(4s), jitter = none)]
async fn inner(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(max_attempts = 5, max_elapsed = 10s, backoff = fixed(1s), jitter = none)]
async fn outer(calls: &Calls) -> io::Result<()> {
    inner(calls).await
}

#[retry(max_attempts = 2, max_elapsed = 60s, backoff = none)]
async fn outermost(calls: &Calls) -> io::Result<()> {
    outer(calls).await
}

#[retry(max_attempts = 2, max_elapsed = 60s, backoff = none)]
async fn with_more_time(calls: &Calls) -> io::Result<()> {
    inner(calls).await
}

#[retry(max_attempts = 2, max_elapsed = 10s, backoff = none)]
async fn with_less_time(calls: &Calls) -> io::Result<()> {
    with_more_time(calls).await
}

#[tokio::test(start_paused = true)]
async fn no_sleep_ends_past_max_elapsed_of_an_outer_retry() {
    let (calls, start) = (failing(), Instant::now());
    outer(&calls).await.unwrap_err();
    // Calls at 0, 4 and 8 s; a third sleep would end at 12 s. The outer retry sleeps 1 s twice, until 10 s.
    assert_eq!((calls.calls(), start.elapsed()), (5, 10 * SECOND));
    let (calls, start) = (failing(), Instant::now());
    outermost(&calls).await.unwrap_err();
    assert_eq!((calls.calls(), start.elapsed()), (10, 20 * SECOND), "the nearest deadline applies to each attempt");
    let (calls, start) = (failing(), Instant::now());
    with_less_time(&calls).await.unwrap_err();
    assert_eq!(start.elapsed(), 8 * SECOND, "also if the retry in between has more time");
    let (calls, start) = (failing(), Instant::now());
    inner(&calls).await.unwrap_err();
    assert_eq!((calls.calls(), start.elapsed()), (10, 36 * SECOND));
}

#[retry(max_attempts = 2, max_elapsed = 10s, backoff = none, allow_order)]
#[retry(max_attempts = 10, backoff = fixed(4s), jitter = none)]
async fn on_one_function(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(max_attempts = 2, max_elapsed = 10s, backoff = none, allow_order)]
#[retry(max_attempts = 10, backoff = fixed(4s), jitter = none)]
fn on_one_sync_function(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[tokio::test(start_paused = true)]
async fn two_retries_on_one_function_share_the_deadline() {
    let calls = failing();
    on_one_function(&calls).await.unwrap_err();
    assert_eq!(calls.calls(), 4, "calls at 0, 4, 8 and again 8 s");
    let (calls, clock) = (failing(), FakeClock::new());
    let _entered = clock.enter();
    on_one_sync_function(&calls).unwrap_err();
    assert_eq!((calls.calls(), clock.slept()), (4, vec![4 * SECOND; 2]));
}

#[test]
fn max_elapsed_of_a_policy_limits_a_nested_policy() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let plain = RetryPolicy::new().jitter(Jitter::none()).backoff(Schedule::fixed(3 * SECOND)).max_attempts(100);
    let calls = failing();
    plain.max_elapsed(10 * SECOND).max_attempts(1).run(|| plain.run(|| calls.call())).unwrap_err();
    assert_eq!((calls.calls(), clock.elapsed()), (4, 9 * SECOND));
}
