//! The option `rejection` that makes a success: the disposition of the call decides before its value.

use std::{future::pending, time::Duration};

use steadfast::{
    BreakerState, breaker, bulkhead, circuit_breaker, rate_limit, retries, retry, testing::FakeClock, timeout,
};

#[circuit_breaker(name = "made: half-open", failure_threshold = 1, recovery_timeout = 10ms, half_open_max_calls = 1)]
#[bulkhead(name = "made: half-open", max_concurrent = 1, permits = permits, rejection = |_| Some(0))]
fn half_open(permits: u32, succeeds: bool) -> Option<u32> {
    succeeds.then_some(1)
}

#[test]
fn a_rejection_that_makes_a_success_is_ignored_by_the_breaker_above() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    assert_eq!(half_open(1, false), None);
    clock.advance(Duration::from_millis(20));
    assert_eq!(half_open(2, true), Some(0));
    let snapshot = breaker("made: half-open").unwrap().snapshot();
    assert_eq!((snapshot.state, snapshot.successes, snapshot.ignored), (BreakerState::HalfOpen, 0, 1));
    assert_eq!(half_open(1, true), Some(1));
    assert_eq!(breaker("made: half-open").unwrap().state(), BreakerState::Closed);
}

#[circuit_breaker(name = "made: outer", failure_threshold = 2)]
#[circuit_breaker(name = "made: timeout", failure_threshold = 3)]
#[timeout(1ms, rejection = |_| Some(0))]
async fn timed_out() -> Option<u32> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_makes_a_success_is_a_failure_of_the_breakers_above() {
    for _ in 0..2 {
        assert_eq!(timed_out().await, Some(0));
    }
    for name in ["made: outer", "made: timeout"] {
        let snapshot = breaker(name).unwrap().snapshot();
        assert_eq!((snapshot.successes, snapshot.failures), (0, 2), "{name}");
    }
    assert_eq!(breaker("made: outer").unwrap().state(), BreakerState::Open);
}

#[retry(name = "made: retried", max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "made: retried", failure_threshold = 1, rejection = |_| Some(9))]
fn retried() -> Option<u32> {
    None
}

#[retry(name = "made: limited", max_attempts = 3, backoff = none)]
#[rate_limit(name = "made: limited", limit = 1, per = 1h, rejection = |_| Some(9))]
async fn limited() -> Option<u32> {
    Some(1)
}

#[tokio::test]
async fn a_rejection_that_makes_a_success_is_a_rejected_call_of_the_retry_above() {
    assert_eq!((retried(), retried()), (Some(9), Some(9)));
    assert_eq!((limited().await, limited().await), (Some(1), Some(9)));
    let found = |name| retries().into_iter().find(|policy| policy.name == name).unwrap();
    let (retried, limited) = (found("made: retried"), found("made: limited"));
    assert_eq!((retried.calls(), retried.first_try_successes, retried.rejected), (2, 0, 2));
    assert_eq!((limited.calls(), limited.first_try_successes, limited.rejected), (2, 1, 1));
}
