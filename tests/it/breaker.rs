//! The circuit breaker through its own methods: states, permits, snapshots, totals.

use std::{
    future::pending,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open},
    CircuitBreaker, CircuitOpen, OpenReason, Window,
};
use tokio::{
    runtime::Handle,
    time::{Instant, advance},
};

const SECOND: Duration = Duration::from_secs(1);

const fn breaker(failure_threshold: u32) -> CircuitBreaker {
    CircuitBreaker::new("tested", BreakerConfig::new().failure_threshold(failure_threshold))
}

fn fail(breaker: &CircuitBreaker) -> Result<(), io::Error> {
    breaker.call(|| Err(io::ErrorKind::TimedOut.into()))
}

fn succeed(breaker: &CircuitBreaker) -> Result<(), io::Error> {
    breaker.call(|| Ok(()))
}

/// Returns a breaker that has opened and whose recovery timeout has elapsed.
async fn past_recovery_timeout() -> CircuitBreaker {
    let breaker = breaker(1);
    fail(&breaker).unwrap_err();
    assert_eq!(breaker.state(), Open);
    advance(30 * SECOND).await;
    breaker
}

#[test]
fn five_consecutive_failures_open_the_circuit_by_default() {
    let breaker = CircuitBreaker::new("default", BreakerConfig::new());
    for _ in 0..4 {
        fail(&breaker).unwrap_err();
    }
    succeed(&breaker).unwrap();
    for _ in 0..4 {
        fail(&breaker).unwrap_err();
        assert_eq!(breaker.state(), Closed);
    }
    fail(&breaker).unwrap_err();
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_call_does_not_run_and_returns_the_reason() {
    let breaker = breaker(2);
    for _ in 0..2 {
        fail(&breaker).unwrap_err();
    }
    advance(10 * SECOND).await;
    let open: CircuitOpen = breaker.call(|| -> Result<(), CircuitOpen> { panic!("a rejected call ran") }).unwrap_err();
    assert_eq!(open.name(), "tested");
    assert_eq!(open.retry_after(), Some(20 * SECOND));
    assert!(matches!(open.reason(), OpenReason::ConsecutiveFailures { failures: 2, .. }), "{open}");
    assert_eq!(open.to_string(), "circuit `tested` is open after 2 failures in a row; retry after 20.000s");
    assert_eq!(breaker.snapshot().rejections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_stays_open_for_exactly_the_recovery_timeout() {
    let breaker = breaker(1);
    fail(&breaker).unwrap_err();
    advance(30 * SECOND - Duration::from_millis(1)).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.state(), Open);
    advance(Duration::from_millis(1)).await;
    assert_eq!(
        (breaker.state(), breaker.snapshot().transitions),
        (HalfOpen, 1),
        "reading the state is not a transition"
    );
    let permit = breaker.try_acquire().unwrap();
    assert_eq!(breaker.state(), HalfOpen);
    permit.success();
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_closes_after_three_successes() {
    let breaker = past_recovery_timeout().await;
    for _ in 0..2 {
        succeed(&breaker).unwrap();
        assert_eq!(breaker.state(), HalfOpen);
    }
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), Closed);
    assert_eq!(breaker.snapshot().transitions, 3);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_reopens_after_one_failure() {
    let breaker = past_recovery_timeout().await;
    succeed(&breaker).unwrap();
    fail(&breaker).unwrap_err();
    let open = breaker.try_acquire().unwrap_err();
    assert_eq!(open.reason(), OpenReason::TrialFailed);
    assert_eq!(open.retry_after(), Some(30 * SECOND));
}

#[test]
fn a_dropped_permit_is_a_cancelled_call() {
    let breaker = breaker(2);
    fail(&breaker).unwrap_err();
    drop(breaker.try_acquire().unwrap());
    assert_eq!(breaker.snapshot().consecutive_failures, 1, "a dropped permit does not reset the count");
    fail(&breaker).unwrap_err();
    assert_eq!(breaker.state(), Open);
    assert_eq!(breaker.snapshot().cancelled, 1);
}

#[test]
fn a_panic_propagates_and_counts_as_a_failure() {
    let breaker = breaker(1);
    let call = AssertUnwindSafe(|| breaker.call(|| -> io::Result<()> { panic!("original payload") }));
    let panic = catch_unwind(call).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "original payload");
    assert_eq!(breaker.snapshot().failures, 1);
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn dropped_trial_calls_release_their_permits() {
    let breaker = Arc::new(past_recovery_timeout().await);
    for _ in 0..10 {
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                tokio::spawn(async move { breaker.call_async(async || pending::<io::Result<()>>().await).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(breaker.try_acquire().unwrap_err().reason(), OpenReason::TrialsUnderWay);
        for call in calls {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
    }
    for _ in 0..3 {
        succeed(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_leaked_trial_permit_is_reclaimed() {
    let breaker = past_recovery_timeout().await;
    for _ in 0..3 {
        std::mem::forget(breaker.try_acquire().unwrap());
    }
    let open = breaker.try_acquire().unwrap_err();
    advance(open.retry_after().unwrap()).await;
    for _ in 0..3 {
        succeed(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn late_results_do_not_change_the_state() {
    let breaker = breaker(1);
    let late: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    fail(&breaker).unwrap_err();
    advance(30 * SECOND).await;
    let trial = breaker.try_acquire().unwrap();
    let mut late = late.into_iter();
    late.next().unwrap().success();
    late.next().unwrap().failure();
    late.next();
    assert_eq!(breaker.state(), HalfOpen);
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.successes, snapshot.failures, snapshot.cancelled),
        (1, 2, 1),
        "late results are counted in the totals"
    );
    trial.success();
    assert_eq!(breaker.state(), HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_callers_get_three_trial_calls() {
    let (breaker, clock) = (past_recovery_timeout().await, Handle::current());
    let admitted = AtomicU32::new(0);
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let _paused = clock.enter();
                start.wait();
                let permits: Vec<_> = (0..1_250).filter_map(|_| breaker.try_acquire().ok()).collect();
                admitted.fetch_add(u32::try_from(permits.len()).unwrap(), Ordering::Relaxed);
                start.wait();
            });
        }
    });
    assert_eq!(admitted.into_inner(), 3);
    assert_eq!(breaker.snapshot().rejections, 9_997);
}

#[test]
fn force_open_disable_and_reset_set_the_state() {
    let breaker = breaker(1);
    breaker.force_open();
    assert_eq!(breaker.state(), ForcedOpen);
    let open = breaker.try_acquire().unwrap_err();
    assert_eq!((open.reason(), open.retry_after()), (OpenReason::Forced, None));
    assert_eq!(open.to_string(), "circuit `tested` is forced open");

    breaker.disable();
    for _ in 0..10 {
        fail(&breaker).unwrap_err();
    }
    assert_eq!(breaker.state(), Disabled);
    assert_eq!(breaker.snapshot().failures, 10);

    breaker.reset();
    assert_eq!(breaker.state(), Closed);
    fail(&breaker).unwrap_err();
    assert_eq!(breaker.state(), Open);
    breaker.reset();
    succeed(&breaker).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_displays_on_one_line() {
    let breaker = breaker(2);
    succeed(&breaker).unwrap();
    fail(&breaker).unwrap_err();
    let expected = "tested: closed, 1 failure in a row; 1 succeeded, 1 failed, 0 ignored, 0 cancelled, 0 rejected";
    assert_eq!(breaker.snapshot().to_string(), expected);
    assert_eq!(breaker.snapshot().last_transition, None);
    fail(&breaker).unwrap_err();
    advance(10 * SECOND).await;
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.open_for, Some(20 * SECOND));
    assert_eq!(
        snapshot.to_string(),
        "tested: open after 2 failures in a row, for another 20.000s; 1 succeeded, 2 failed, 0 ignored, 0 cancelled, 0 rejected"
    );
    assert!(snapshot.last_transition.unwrap() < std::time::SystemTime::now());
    advance(20 * SECOND).await;
    let expected =
        "tested: half-open, the next call is a trial call; 1 succeeded, 2 failed, 0 ignored, 0 cancelled, 0 rejected";
    assert_eq!(breaker.snapshot().to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn calls_run_concurrently() {
    let breaker = Arc::new(breaker(1));
    let start = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let breaker = Arc::clone(&breaker);
            tokio::spawn(async move {
                breaker
                    .call_async(async || {
                        tokio::time::sleep(SECOND).await;
                        Ok::<_, CircuitOpen>(())
                    })
                    .await
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(breaker.snapshot().successes, 100);
}

#[test]
fn totals_of_many_threads_add_up() {
    let breaker = breaker(u32::MAX);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    succeed(&breaker).unwrap();
                    fail(&breaker).unwrap_err();
                }
            });
        }
    });
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.rejections), (80_000, 80_000, 0));
}

#[tokio::test(start_paused = true)]
async fn hung_trial_permits_are_reclaimed_after_a_longer_recovery_timeout_is_set() {
    let config = BreakerConfig::new().failure_threshold(1).half_open_max_calls(1);
    let breaker = CircuitBreaker::new("longer timeout", config.recovery_timeout(SECOND / 100));
    fail(&breaker).unwrap_err();
    advance(SECOND / 100).await;
    let _hung = breaker.try_acquire().unwrap();
    advance(SECOND / 200).await;
    breaker.reconfigure(config.recovery_timeout(600 * SECOND));
    advance(590 * SECOND).await;
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), OpenReason::TrialsUnderWay);
    advance(10 * SECOND).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_is_lengthened_still_ends() {
    let config = BreakerConfig::new().failure_threshold(1).half_open_max_calls(1).ramp_up(SECOND / 100);
    let breaker = CircuitBreaker::new("ramp", config);
    fail(&breaker).unwrap_err();
    advance(30 * SECOND).await;
    succeed(&breaker).unwrap();
    breaker.reconfigure(config.ramp_up(600 * SECOND));
    let admitted = |_: &i32| {
        breaker.try_acquire().is_ok_and(|permit| {
            permit.success();
            true
        })
    };
    advance(300 * SECOND).await;
    assert_ne!((0..1_000).filter(admitted).count(), 1_000, "about half are admitted");
    advance(300 * SECOND).await;
    assert_eq!((0..1_000).filter(admitted).count(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_time_window_counts_correctly_after_days() {
    let config = BreakerConfig::new().window(Window::time(SECOND)).min_calls(100);
    let breaker = CircuitBreaker::new("up for days", config);
    for _ in 0..1_000 {
        fail(&breaker).unwrap_err();
        assert_eq!(breaker.snapshot().window.unwrap().failures, 1);
        advance(1_234 * SECOND).await;
    }
}
