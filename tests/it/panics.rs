//! Panics. A panic is a failure of the calls that it unwinds through, and of no other call.

use std::{
    future::{Future, pending, ready},
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Open},
    CircuitBreaker, Snapshot, breaker, bulkhead, circuit_breaker, fallback, retry,
};

const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(5);

fn panic() -> ! {
    resume_unwind(Box::new("broken"))
}

/// Polls a future once; returns true if it panics.
fn panics(future: impl Future) -> bool {
    let mut future = pin!(future);
    let poll = || _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    catch_unwind(AssertUnwindSafe(poll)).is_err()
}

/// Polls all futures in turn until one panics, and drops them all.
fn join_until_a_panic(futures: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>) {
    let all = async move {
        let mut futures = futures;
        std::future::poll_fn(move |context| {
            for future in &mut futures {
                assert!(future.as_mut().poll(context).is_pending(), "one of them panics first");
            }
            Poll::<()>::Pending
        })
        .await;
    };
    assert!(panics(all));
}

fn counts(snapshot: &Snapshot) -> [u64; 3] {
    [snapshot.successes, snapshot.failures, snapshot.cancelled]
}

/// A guard that runs a closure when it is dropped, and checks that the thread is unwinding.
struct OnUnwind<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnUnwind<F> {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        (self.0)();
    }
}

#[test]
fn calls_next_to_a_panicking_future_are_cancelled() {
    let breaker = CircuitBreaker::new("neighbour", CONFIG);
    let call = || async {
        _ = breaker.call_async(async || pending::<io::Result<()>>().await).await;
    };
    let mut calls: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = (0..5).map(|_| Box::pin(call()) as _).collect();
    calls.push(Box::pin(async { panic() }));
    join_until_a_panic(calls);
    assert_eq!(breaker.state(), Closed);
    assert_eq!(counts(&breaker.snapshot()), [0, 0, 5]);
}

#[circuit_breaker(name = "panicking neighbour")]
async fn hangs() -> io::Result<()> {
    pending().await
}

#[retry(max_attempts = 2)]
#[circuit_breaker(name = "panicking neighbour")]
#[bulkhead(name = "panicking neighbour", max_concurrent = 10)]
async fn hangs_in_a_stack() -> io::Result<()> {
    pending().await
}

#[test]
fn annotated_calls_next_to_a_panicking_future_are_cancelled() {
    let mut calls: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for _ in 0..5 {
        calls.push(Box::pin(async { _ = hangs().await }));
        calls.push(Box::pin(async { _ = hangs_in_a_stack().await }));
    }
    calls.push(Box::pin(async { panic() }));
    join_until_a_panic(calls);
    let snapshot = breaker("panicking neighbour").unwrap().snapshot();
    assert_eq!((snapshot.state, counts(&snapshot)), (Closed, [0, 0, 10]));
}

#[test]
fn a_dropped_permit_is_a_cancelled_call_even_while_the_thread_unwinds() {
    let breaker = CircuitBreaker::new("bare", CONFIG);
    // Acquired before the panic.
    let taken = catch_unwind(AssertUnwindSafe(|| {
        let _permit = breaker.try_acquire().unwrap();
        panic()
    }));
    assert!(taken.is_err());
    // Acquired and dropped, and calls completed or cancelled, while the thread unwinds.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _clean_up = OnUnwind(|| {
            drop(breaker.try_acquire().unwrap());
            breaker.call(|| Ok::<_, io::Error>(())).unwrap();
            breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
            assert!(!panics(async { breaker.call_async(async || ready(Ok::<_, io::Error>(())).await).await }));
            assert!(!panics(async { breaker.call_async(async || pending::<io::Result<()>>().await).await }));
        });
        panic()
    }));
    assert!(unwound.is_err());
    assert_eq!(counts(&breaker.snapshot()), [2, 1, 3]);
}

#[circuit_breaker(name = "panics through", failure_threshold = 100)]
#[allow(clippy::unnecessary_wraps, reason = "the panic is what is tested")]
fn plain() -> io::Result<()> {
    panic()
}

#[circuit_breaker(name = "panics through")]
async fn at_the_first_poll() -> io::Result<()> {
    panic()
}

#[circuit_breaker(name = "panics through")]
async fn at_a_later_poll() -> io::Result<()> {
    tokio::task::yield_now().await;
    panic()
}

#[circuit_breaker(name = "panics through")]
fn before_the_future_exists() -> impl Future<Output = io::Result<()>> {
    panic();
    #[allow(unreachable_code, reason = "gives the function its type")]
    ready(Ok(()))
}

#[retry(max_attempts = 2)]
#[circuit_breaker(name = "panics through")]
async fn in_an_attempt() -> io::Result<()> {
    tokio::task::yield_now().await;
    panic()
}

#[circuit_breaker(name = "panics through")]
#[retry(max_attempts = 2, retry_if = |_| panic())]
async fn in_a_layer_below() -> io::Result<()> {
    tokio::task::yield_now().await;
    Err(io::ErrorKind::TimedOut.into())
}

#[circuit_breaker(name = "panics through")]
#[fallback(broken, allow_order)]
fn in_a_fallback_below() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[allow(clippy::unnecessary_wraps, reason = "a fallback")]
fn broken() -> io::Result<()> {
    panic()
}

#[circuit_breaker(name = "panicking predicate", failure_if = |_| panic())]
fn panicking_predicate() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn a_panic_through_a_call_is_a_failure() {
    fn panics_when_run<F: Future>(future: F) -> bool {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let poll = || while future.as_mut().poll(&mut context).is_pending() {};
        catch_unwind(AssertUnwindSafe(poll)).is_err()
    }
    let failures = || breaker("panics through").unwrap().snapshot().failures;
    assert!(catch_unwind(plain).is_err());
    assert!(panics_when_run(at_the_first_poll()));
    assert!(panics_when_run(at_a_later_poll()));
    assert!(panics_when_run(async { before_the_future_exists().await }));
    assert!(panics_when_run(in_an_attempt()));
    assert_eq!(failures(), 5);
    assert!(panics_when_run(in_a_layer_below()));
    assert!(catch_unwind(in_a_fallback_below).is_err());
    assert_eq!(failures(), 7);
    assert_eq!(counts(&breaker("panics through").unwrap().snapshot()), [0, 7, 0]);
    assert!(catch_unwind(panicking_predicate).is_err());
    assert_eq!(counts(&breaker("panicking predicate").unwrap().snapshot()), [0, 1, 0]);
}

#[test]
fn a_panic_is_a_failure_of_each_nested_call_it_unwinds_through() {
    let [outer, inner] = ["outer", "inner"].map(|name| CircuitBreaker::new(name, CONFIG));
    let broken = || inner.call_async(async || -> io::Result<()> { panic() });
    assert!(panics(outer.call_async(async || broken().await)));
    // Caught between the two calls, so the outer one succeeds.
    let caught = outer.call(|| {
        _ = catch_unwind(AssertUnwindSafe(|| inner.call(|| -> io::Result<()> { panic() })));
        Ok::<_, io::Error>(())
    });
    assert!(caught.is_ok());
    assert_eq!(counts(&inner.snapshot()), [0, 2, 0]);
    assert_eq!(counts(&outer.snapshot()), [1, 1, 0]);
}

#[tokio::test]
async fn a_panic_on_a_blocking_thread_is_a_failure() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new("blocking", CONFIG.failure_threshold(1));
    let call = tokio::task::spawn_blocking(|| BREAKER.call(|| -> io::Result<()> { panic() }));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!((BREAKER.state(), counts(&BREAKER.snapshot())), (Open, [0, 1, 0]));
}

#[test]
fn a_trial_call_next_to_a_panic_releases_its_permit() {
    let breaker = CircuitBreaker::new("trial neighbour", CONFIG.half_open_max_calls(1));
    breaker.force_open_for(std::time::Duration::ZERO);
    for _ in 0..3 {
        let call = async {
            _ = breaker.call_async(async || pending::<io::Result<()>>().await).await;
        };
        join_until_a_panic(vec![Box::pin(call), Box::pin(async { panic() })]);
    }
    assert_eq!(counts(&breaker.snapshot()), [0, 0, 3], "the permit was available each time");
}
