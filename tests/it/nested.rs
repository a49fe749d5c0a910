//! Retries within retries: who retries, how long, and what is told.

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
fn leaves_it(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(backoff = none, nested = inherit)]
async fn leaves_it_async(calls: &Calls) -> io::Result<()> {
    tokio::task::yield_now().await;
    calls.call()
}

#[retry(backoff = none, nested = independent)]
fn keeps_it(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(max_attempts = 4, backoff = none)]
fn around(calls: &Calls, inner: fn(&Calls) -> io::Result<()>) -> io::Result<()> {
    inner(calls)
}

#[retry(max_attempts = 4, backoff = none)]
async fn around_async(calls: &Calls) -> io::Result<()> {
    leaves_it_async(calls).await
}

#[retry(max_attempts = 4, backoff = none)]
async fn around_sync(calls: &Calls) -> io::Result<()> {
    tokio::task::yield_now().await;
    leaves_it(calls)
}

#[retry(max_attempts = 1)]
fn around_once(calls: &Calls) -> io::Result<()> {
    leaves_it(calls)
}

#[tokio::test]
async fn an_inner_retry_can_leave_the_attempts_to_the_one_around_it() {
    let counted = |result: io::Result<()>, calls: Calls| {
        result.unwrap_err();
        calls.calls()
    };
    let calls = failing();
    assert_eq!(counted(leaves_it(&calls), calls), 3, "alone it makes its own");
    let calls = failing();
    assert_eq!(counted(around(&calls, leaves_it), calls), 4);
    let calls = failing();
    assert_eq!(counted(around(&calls, keeps_it), calls), 12);
    let calls = failing();
    assert_eq!(counted(around_async(&calls).await, calls), 4);
    let calls = failing();
    assert_eq!(counted(around_sync(&calls).await, calls), 4);
    let calls = failing();
    assert_eq!(counted(around_once(&calls), calls), 3, "one attempt is no retry");
    let calls = failing();
    assert_eq!(counted(leaves_it_async(&calls).await, calls), 3, "all have come out of it");
    // What is spawned is another task.
    let policy = RetryPolicy::new().backoff(Schedule::none());
    let spawned = policy.run_async(|| async {
        let calls = failing();
        let task = async move { (leaves_it_async(&calls).await, calls.calls()) };
        let (result, made) = tokio::spawn(task).await.unwrap();
        assert_eq!(made, 3);
        result
    });
    spawned.await.unwrap_err();
    // The same without attributes.
    let (inner, calls) = (policy.nested(Nested::Inherit), failing());
    policy.run(|| inner.run(|| calls.call())).unwrap_err();
    assert_eq!(calls.calls(), 3);
}

#[test]
fn a_panic_leads_out_of_an_attempt_as_well() {
    #[retry(backoff = none)]
    fn panics() -> io::Result<()> {
        std::panic::resume_unwind(Box::new(()))
    }

    std::panic::catch_unwind(panics).unwrap_err();
    let calls = failing();
    leaves_it(&calls).unwrap_err();
    assert_eq!(calls.calls(), 3);
}

#[tokio::test]
async fn a_cancelled_attempt_leads_out_as_well() {
    #[retry(backoff = none)]
    async fn hangs() -> io::Result<()> {
        std::future::pending().await
    }

    let mut hanging = Box::pin(hangs());
    assert!(futures_poll(&mut hanging).is_pending());
    let calls = failing();
    leaves_it(&calls).unwrap_err();
    assert_eq!(calls.calls(), 3, "also while another call waits");
    drop(hanging);
}

fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
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
async fn no_sleep_ends_past_the_limit_of_a_retry_further_out() {
    let (calls, start) = (failing(), Instant::now());
    outer(&calls).await.unwrap_err();
    // 0, 4, 8; a third sleep would end at 12. The outer one sleeps a second, and once more to 10.
    assert_eq!((calls.calls(), start.elapsed()), (5, 10 * SECOND));
    let (calls, start) = (failing(), Instant::now());
    outermost(&calls).await.unwrap_err();
    assert_eq!((calls.calls(), start.elapsed()), (10, 20 * SECOND), "the nearest end counts, and afterwards its own");
    let (calls, start) = (failing(), Instant::now());
    with_less_time(&calls).await.unwrap_err();
    assert_eq!(start.elapsed(), 8 * SECOND, "also where the one in between has more time");
    let (calls, start) = (failing(), Instant::now());
    inner(&calls).await.unwrap_err();
    assert_eq!((calls.calls(), start.elapsed()), (10, 36 * SECOND));
}

#[retry(max_attempts = 2, max_elapsed = 10s, backoff = none)]
#[retry(max_attempts = 10, backoff = fixed(4s), jitter = none)]
async fn on_one_function(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[retry(max_attempts = 2, max_elapsed = 10s, backoff = none)]
#[retry(max_attempts = 10, backoff = fixed(4s), jitter = none)]
fn on_one_sync_function(calls: &Calls) -> io::Result<()> {
    calls.call()
}

#[tokio::test(start_paused = true)]
async fn two_on_one_function_know_of_each_other() {
    let calls = failing();
    on_one_function(&calls).await.unwrap_err();
    assert_eq!(calls.calls(), 4, "at 0, 4, 8, and 8 again");
    let (calls, clock) = (failing(), FakeClock::new());
    let _entered = clock.enter();
    on_one_sync_function(&calls).unwrap_err();
    assert_eq!((calls.calls(), clock.slept()), (4, vec![4 * SECOND; 2]));
}

#[test]
fn the_limit_of_one_holds_for_a_policy_within_it() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let plain = RetryPolicy::new().jitter(Jitter::none()).backoff(Schedule::fixed(3 * SECOND)).max_attempts(100);
    let calls = failing();
    plain.max_elapsed(10 * SECOND).max_attempts(1).run(|| plain.run(|| calls.call())).unwrap_err();
    assert_eq!((calls.calls(), clock.elapsed()), (4, 9 * SECOND));
}
