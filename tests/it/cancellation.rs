//! Futures that are dropped at each of their await points, and calls that panic.

use std::{
    cell::Cell,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{BreakerState, Snapshot, breaker, circuit_breaker, keyed_breakers, retry};
use tokio::{
    task::{spawn, spawn_blocking, yield_now},
    time::advance,
};

/// Yields three times, then fails while `failures` is above zero.
async fn work(failures: &Cell<u32>) -> io::Result<()> {
    for _ in 0..3 {
        yield_now().await;
    }
    match failures.get() {
        0 => Ok(()),
        left => {
            failures.set(left - 1);
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

#[circuit_breaker(name = "cancelled alone", failure_threshold = 1, half_open_max_calls = 2)]
async fn alone(failures: &Cell<u32>) -> io::Result<()> {
    work(failures).await
}

#[retry(backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "cancelled below", failure_threshold = 1, half_open_max_calls = 2)]
async fn below(failures: &Cell<u32>) -> io::Result<()> {
    work(failures).await
}

#[circuit_breaker(name = "cancelled above", failure_threshold = 1, half_open_max_calls = 2)]
#[retry(backoff = fixed(1s), jitter = none)]
async fn above(failures: &Cell<u32>) -> io::Result<()> {
    work(failures).await
}

#[circuit_breaker(name = "cancelled asleep")]
#[retry(backoff = fixed(1s), jitter = none)]
async fn asleep(failures: &Cell<u32>) -> io::Result<()> {
    work(failures).await
}

#[circuit_breaker(name = "cancelled key", key = "a", failure_threshold = 1, half_open_max_calls = 2)]
async fn keyed(failures: &Cell<u32>) -> io::Result<()> {
    work(failures).await
}

/// Polls a call up to `times` times and drops it; returns true if it has completed.
fn poll(call: impl Future<Output = io::Result<()>>, times: u32) -> bool {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).any(|_| match call.as_mut().poll(&mut context) {
        Poll::Ready(result) => {
            _ = result;
            true
        }
        Poll::Pending => false,
    })
}

async fn assert_usable_after_drop_at_every_await<F: Future<Output = io::Result<()>>>(
    call: impl Fn(&'static Cell<u32>) -> F,
    snapshot: impl Fn() -> Snapshot,
    reset: impl Fn(),
) {
    let failures: &'static Cell<u32> = Box::leak(Box::new(Cell::new(0)));
    for half_open in [false, true] {
        for polls in 0..10 {
            reset();
            if half_open {
                failures.set(100);
                call(failures).await.unwrap_err();
                assert_eq!(snapshot().state, BreakerState::Open);
                advance(Duration::from_secs(30)).await;
            }
            let before = snapshot();
            failures.set(0);
            let ended = poll(call(failures), polls);
            assert_eq!(ended, polls > 3);
            let after = snapshot();
            let counted = (after.successes - before.successes, after.failures - before.failures);
            assert_eq!(counted, (u64::from(ended), 0), "{polls} polls");
            assert_eq!(after.cancelled - before.cancelled, u64::from(!ended && polls > 0), "{polls} polls");
            if half_open {
                // The trial permit is released: two trial calls are admitted and close the circuit.
                for _ in 0..2 - u32::from(ended) {
                    call(failures).await.unwrap();
                }
            }
            assert_eq!(snapshot().state, BreakerState::Closed, "{polls} polls");
            call(failures).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_in_a_sleep_makes_no_further_attempt() {
    let failures: &'static Cell<u32> = Box::leak(Box::new(Cell::new(100)));
    assert!(!poll(asleep(failures), 4), "the call sleeps after its first attempt");
    assert_eq!(failures.get(), 99);
    let snapshot = breaker("cancelled asleep").unwrap().snapshot();
    assert_eq!((snapshot.state, snapshot.cancelled), (BreakerState::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_await_leaves_the_breaker_usable() {
    let of = |name: &'static str| move || breaker(name).unwrap().snapshot();
    let reset = |name: &'static str| move || breaker(name).unwrap().reset();
    assert_usable_after_drop_at_every_await(alone, of("cancelled alone"), reset("cancelled alone")).await;
    assert_usable_after_drop_at_every_await(below, of("cancelled below"), reset("cancelled below")).await;
    assert_usable_after_drop_at_every_await(above, of("cancelled above"), reset("cancelled above")).await;
    let of_key = || keyed_breakers("cancelled key").unwrap().breaker("a");
    assert_usable_after_drop_at_every_await(keyed, move || of_key().snapshot(), move || of_key().reset()).await;
}

#[circuit_breaker(name = "panics once", failure_threshold = 100)]
fn panics() -> io::Result<()> {
    resume_unwind(Box::new("in the call"))
}

#[circuit_breaker(name = "panics once")]
async fn panics_later() -> io::Result<()> {
    yield_now().await;
    resume_unwind(Box::new("in the call"))
}

#[retry(backoff = none)]
#[circuit_breaker(name = "panics once")]
async fn panics_in_blocking_thread() -> io::Result<()> {
    match spawn_blocking(panics_inside).await {
        Ok(()) => Ok(()),
        Err(panic) => resume_unwind(panic.into_panic()),
    }
}

fn panics_inside() {
    resume_unwind(Box::new("in a blocking thread"))
}

#[tokio::test]
async fn a_panic_counts_once() {
    let counted = || {
        let snapshot = breaker("panics once").unwrap().snapshot();
        (snapshot.failures, snapshot.consecutive_failures, snapshot.successes + snapshot.ignored + snapshot.cancelled)
    };
    catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    assert_eq!(counted(), (1, 1, 0));
    assert!(spawn(panics_later()).await.unwrap_err().is_panic());
    assert_eq!(counted(), (2, 2, 0));
    assert!(spawn(panics_in_blocking_thread()).await.unwrap_err().is_panic());
    assert_eq!(counted(), (3, 3, 0), "a panic is not retried");
    assert!(spawn_blocking(panics).await.unwrap_err().is_panic());
    assert_eq!(counted(), (4, 4, 0));
}
