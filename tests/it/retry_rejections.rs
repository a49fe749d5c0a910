//! A rejection by an open circuit ends a retry, with any error type and any condition.

use std::{error::Error, io, time::Duration};

use steadfast::{
    BreakerConfig, CircuitBreaker, CircuitOpen, RetryPolicy, Schedule, StopSignal, Transient, circuit_breaker, retry,
    testing::FakeClock,
};

const SECOND: Duration = Duration::from_secs(1);
static POLICY: RetryPolicy = RetryPolicy::new().max_attempts(4).backoff(Schedule::none());
static NEVER: StopSignal = StopSignal::new();

fn open(name: &'static str) -> &'static CircuitBreaker {
    let breaker = Box::leak(Box::new(CircuitBreaker::new(name, BreakerConfig::new())));
    breaker.force_open_for(10 * SECOND);
    breaker
}

fn rejections(breaker: &CircuitBreaker) -> u64 {
    breaker.snapshot().rejections
}

/// An error that keeps the rejection, but does not implement `std::error::Error`.
#[derive(Debug)]
enum Opaque {
    Open(#[allow(dead_code)] CircuitOpen),
    Other,
}

impl From<CircuitOpen> for Opaque {
    fn from(open: CircuitOpen) -> Self {
        Self::Open(open)
    }
}

/// An error that discards the rejection.
#[derive(Debug)]
struct Discarding;

impl From<CircuitOpen> for Discarding {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

/// An error that keeps the rejection, but does not return it as its source.
#[derive(Debug, thiserror::Error)]
#[error("unavailable: {0}")]
struct NotASource(CircuitOpen);

impl From<CircuitOpen> for NotASource {
    fn from(open: CircuitOpen) -> Self {
        Self(open)
    }
}

/// An error that declares a rejection transient.
#[derive(Debug, thiserror::Error, Transient)]
enum DeclaredTransient {
    #[error("open")]
    #[transient]
    Open(#[from] CircuitOpen),
}

/// Makes one rejected call for each way to run a policy with a predicate.
async fn by_predicate<E: From<CircuitOpen>>(name: &'static str) {
    let breaker = open(name);
    let always = |_: &E| true;
    let call = || breaker.call(|| Ok::<(), E>(()));
    let call_async = || breaker.call_async(async || Ok::<(), E>(()));
    assert!(POLICY.retry_if(always).run(call).is_err());
    assert_eq!(rejections(breaker), 1, "{name}");
    assert!(POLICY.retry_if(always).run_async(call_async).await.is_err());
    assert_eq!(rejections(breaker), 2, "{name}");
    assert!(POLICY.retry_if(always).stop_on(&NEVER).run(call).is_err());
    assert_eq!(rejections(breaker), 3, "{name}");
    assert!(POLICY.stop_on(&NEVER).retry_if(always).run_async(call_async).await.is_err());
    assert_eq!(rejections(breaker), 4, "{name}");
    // A retry inside a retry.
    assert!(POLICY.retry_if(always).run(|| POLICY.retry_if(always).run(call)).is_err());
    assert_eq!(rejections(breaker), 5, "{name}");
    // A permit acquired explicitly.
    if name != "discarding" {
        let explicit = || -> Result<(), E> {
            breaker.try_acquire()?.success();
            Ok(())
        };
        assert!(POLICY.retry_if(always).run(explicit).is_err());
        assert_eq!(rejections(breaker), 6, "{name}");
    }
}

#[tokio::test]
async fn a_predicate_does_not_retry_a_rejection() {
    by_predicate::<io::Error>("io").await;
    by_predicate::<anyhow::Error>("anyhow").await;
    by_predicate::<Box<dyn Error + Send + Sync>>("boxed").await;
    by_predicate::<CircuitOpen>("itself").await;
    by_predicate::<Opaque>("opaque").await;
    by_predicate::<NotASource>("not a source").await;
    by_predicate::<Discarding>("discarding").await;
}

#[tokio::test]
async fn an_error_type_that_declares_a_rejection_transient_does_not_retry_it() {
    let breaker = open("declared transient");
    POLICY.run(|| breaker.call(|| Ok::<(), DeclaredTransient>(()))).unwrap_err();
    POLICY.run_async(|| breaker.call_async(async || Ok::<(), DeclaredTransient>(()))).await.unwrap_err();
    POLICY.stop_on(&NEVER).run(|| breaker.call(|| Ok::<(), DeclaredTransient>(()))).unwrap_err();
    assert_eq!(rejections(breaker), 3);
}

#[circuit_breaker(name = "rejected deeper inside")]
fn inside<E: From<CircuitOpen>>() -> Result<(), E> {
    Ok(())
}

#[circuit_breaker(name = "rejected deeper inside")]
fn inside_option() -> Option<()> {
    Some(())
}

#[retry(max_attempts = 4, backoff = none, retry_if = any)]
fn any() -> Result<(), NotASource> {
    inside()
}

#[retry(max_attempts = 4, backoff = none, retry_if = |_| true)]
fn predicate() -> Result<(), Discarding> {
    inside()
}

#[retry(max_attempts = 4, backoff = none, retry_if_result = Result::is_err)]
async fn by_result() -> Result<(), Opaque> {
    inside()
}

#[retry(max_attempts = 4, backoff = none)]
fn by_type() -> Result<(), DeclaredTransient> {
    inside()
}

#[retry(max_attempts = 4, backoff = none)]
fn option() -> Option<()> {
    inside_option()
}

#[tokio::test]
async fn attributes_recognise_a_rejection_deeper_inside() {
    let breaker = steadfast::breaker("rejected deeper inside").unwrap();
    breaker.force_open();
    any().unwrap_err();
    assert_eq!(rejections(breaker), 1);
    predicate().unwrap_err();
    assert_eq!(rejections(breaker), 2);
    by_result().await.unwrap_err();
    assert_eq!(rejections(breaker), 3);
    by_type().unwrap_err();
    assert_eq!(rejections(breaker), 4);
    assert_eq!(option(), None);
    assert_eq!(rejections(breaker), 5);
}

#[test]
fn a_rejection_that_the_attempt_handled_does_not_end_the_retry() {
    let (breaker, mut replicas) = (open("handled"), 0);
    let result = POLICY.retry_if(|_: &Opaque| true).run(|| {
        match breaker.call(|| Ok::<(), Opaque>(())) {
            Err(Opaque::Open(_)) => replicas += 1,
            other => return other,
        }
        Err(Opaque::Other)
    });
    assert!(matches!(result, Err(Opaque::Other)));
    assert_eq!(replicas, 4);
    let mut replicas = 0;
    let result: io::Result<()> = POLICY.run(|| {
        breaker.call(|| Ok::<(), io::Error>(())).map_err(|_| {
            replicas += 1;
            io::ErrorKind::TimedOut.into()
        })
    });
    assert_eq!((result.unwrap_err().kind(), replicas), (io::ErrorKind::TimedOut, 4));
}

#[test]
fn a_rejection_of_another_call_does_not_end_the_retry() {
    let breaker = open("other call");
    let kept = breaker.call(|| Ok::<(), Opaque>(())).unwrap_err();
    let mut calls = 0;
    let result: Result<(), Opaque> = POLICY.retry_if(|_: &Opaque| true).run(|| {
        calls += 1;
        Err(Opaque::Other)
    });
    result.unwrap_err();
    assert_eq!(calls, 4);
    drop(kept);
}

#[test]
fn retry_rejections_waits_until_the_circuit_recovers() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let breaker = open("retried rejection");
    let policy = POLICY.retry_rejections();
    policy.retry_if(|_: &Opaque| false).run(|| breaker.call(|| Ok(()))).unwrap();
    assert_eq!((rejections(breaker), clock.slept()), (1, vec![10 * SECOND]));
    breaker.force_open();
    policy.retry_if(|_: &Opaque| true).run(|| breaker.call(|| Ok(()))).unwrap_err();
    assert_eq!(rejections(breaker), 2, "forced open without expiry, so there is no time to wait for");
}

#[test]
fn retry_rejections_needs_no_predicate() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let breaker = open("retried without predicate");
    let policy = POLICY.retry_rejections();
    policy.run(|| breaker.call(|| Ok::<_, io::Error>(()))).unwrap();
    assert_eq!(clock.slept().iter().sum::<Duration>(), 10 * SECOND);
    assert_eq!(rejections(breaker), 1);
}

#[tokio::test]
async fn a_rejection_is_recognised_after_a_yield() {
    let breaker = open("rejected before a yield");
    let call = async || {
        let result = breaker.call_async(async || Ok::<_, Opaque>(())).await;
        tokio::task::yield_now().await;
        result
    };
    // Rejections that another future receives in between are not attributed to this call.
    let other = async || {
        for _ in 0..3 {
            _ = breaker.try_acquire();
            tokio::task::yield_now().await;
        }
    };
    let policy = POLICY.retry_if(|_: &Opaque| true);
    let (result, ()) = tokio::join!(policy.run_async(call), other());
    assert!(matches!(result, Err(Opaque::Open(_))));
    assert_eq!(rejections(breaker), 1 + 3);
}
