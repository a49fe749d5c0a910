//! Paused clocks of successive tests that share limits, breakers and budgets.

use std::{cell::Cell, io, time::Duration};

use steadfast::{BreakerState, RetryBudget, breaker, circuit_breaker, keyed_breakers, rate_limit, retry};
use tokio::{
    runtime::Builder,
    time::{Instant, advance},
};

use super::{HOUR, SECOND, failure};

/// Runs a test twice, like two tests of one program: each run has a paused clock of its own.
fn twice(test: impl AsyncFn()) {
    for _ in 0..2 {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test());
    }
}

#[rate_limit(name = "successive clocks", limit = 3, per = 1s)]
async fn limited() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "successive clocks, gcra", limit = 3, per = 1s, algorithm = gcra)]
async fn limited_evenly() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "successive clocks, waiting", limit = 1, per = 1s, max_wait = 5s)]
async fn waiting() -> io::Result<()> {
    Ok(())
}

#[test]
fn a_rate_limit_starts_empty_under_a_new_clock() {
    for moved in [20 * SECOND, HOUR] {
        twice(async || {
            for expected in [true, true, true, false] {
                assert_eq!((limited().await.is_ok(), limited_evenly().await.is_ok()), (expected, expected));
            }
            advance(moved).await;
            for expected in [true, true, true, false] {
                assert_eq!((limited().await.is_ok(), limited_evenly().await.is_ok()), (expected, expected));
            }
        });
    }
}

#[test]
fn waits_for_a_rate_limit_start_over_under_a_new_clock() {
    twice(async || {
        let start = Instant::now();
        for waited in [0, 1, 2] {
            waiting().await.unwrap();
            assert_eq!(start.elapsed().as_secs(), waited);
        }
        advance(20 * SECOND).await;
    });
}

#[rate_limit(name = "successive clocks, keyed", limit = 1, per = 1m, key = user)]
fn of_a_user(user: &str) -> io::Result<()> {
    Ok(())
}

#[test]
fn a_keyed_rate_limit_starts_empty_under_a_new_clock() {
    twice(async || {
        for user in ["ada", "grace"] {
            of_a_user(user).unwrap();
            of_a_user(user).unwrap_err();
        }
        advance(Duration::from_mins(1)).await;
        for user in ["ada", "grace"] {
            of_a_user(user).unwrap();
            of_a_user(user).unwrap_err();
        }
    });
}

#[circuit_breaker(
    name = "successive clocks",
    window = time(20s),
    failure_rate = 0.5,
    min_calls = 4,
    recovery_timeout = 30s,
    half_open_max_calls = 1
)]
async fn guarded(call: impl Fn() -> io::Result<()>) -> io::Result<()> {
    call()
}

async fn fail(times: u64) {
    for _ in 0..times {
        guarded(failure).await.unwrap_err();
    }
}

#[test]
fn a_breaker_with_a_time_window_works_under_a_new_clock() {
    twice(async || {
        let breaker = breaker("successive clocks").unwrap();
        let failures = || breaker.snapshot().window.unwrap().failures;
        for round in 0..3 {
            fail(3).await;
            assert_eq!((breaker.state(), failures()), (BreakerState::Closed, 3), "in round {round}");
            advance(20 * SECOND).await;
            assert_eq!(failures(), 0, "in round {round}");
        }
        fail(4).await;
        assert_eq!(breaker.state(), BreakerState::Open);
        advance(30 * SECOND - Duration::from_millis(1)).await;
        assert_eq!(guarded(|| Ok(())).await.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        advance(Duration::from_millis(1)).await;
        guarded(|| Ok(())).await.unwrap();
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(3).await;
        advance(HOUR).await;
        fail(3).await;
    });
}

#[circuit_breaker(name = "successive clocks, keyed", window = time(20s), min_calls = 2, key = host)]
fn of_a_host(host: &str) -> io::Result<()> {
    failure()
}

#[test]
fn a_keyed_breaker_works_under_a_new_clock() {
    twice(async || {
        let opened = |host| keyed_breakers("successive clocks, keyed").unwrap().get(host).unwrap().state();
        for host in ["left", "right"] {
            for _ in 0..2 {
                of_a_host(host).unwrap_err();
                advance(20 * SECOND).await;
            }
            assert_eq!(opened(host), BreakerState::Closed, "never two failures in a window");
        }
    });
}

static BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(1);

thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });

#[retry(max_attempts = 3, backoff = fixed(1s), jitter = none, budget = BUDGET)]
async fn budgeted() -> io::Result<()> {
    CALLS.set(CALLS.get() + 1);
    failure()
}

#[test]
fn a_retry_budget_refills_under_a_new_clock() {
    twice(async || {
        // The reserve starts full, with 10 retries. Each call makes two retries in two seconds, in which the reserve earns two.
        let start = Instant::now();
        for (attempts, elapsed, left) in [(3, 2, 10), (3, 4, 10), (3, 6, 10)] {
            CALLS.set(0);
            budgeted().await.unwrap_err();
            assert_eq!((CALLS.get(), start.elapsed().as_secs(), BUDGET.balance()), (attempts, elapsed, left));
        }
        advance(HOUR).await;
        assert_eq!(BUDGET.balance(), 10);
        budgeted().await.unwrap_err();
    });
}

#[retry(max_attempts = unlimited, max_elapsed = 10m, backoff = fixed(1m), jitter = none)]
async fn persistent() -> io::Result<()> {
    CALLS.set(CALLS.get() + 1);
    failure()
}

#[test]
fn max_elapsed_is_measured_by_the_new_clock() {
    twice(async || {
        CALLS.set(0);
        let start = Instant::now();
        persistent().await.unwrap_err();
        assert_eq!((CALLS.get(), start.elapsed().as_secs()), (11, 600));
    });
}
