//! Fake clocks of several tests that share breakers, limits and budgets: one after the other, and at the same time.

mod jumps;
mod successive;

use std::{
    io, mem,
    pin::pin,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use steadfast::{
    Algorithm, BreakerConfig, BreakerState, CircuitBreaker, HistoryEvent, KeyedRateLimits, Override, Permit, RateLimit,
    RateLimitConfig, RetryBudget, RetryPolicy, Schedule, Window, testing::FakeClock,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// The tolerance for clock differences between cores.
const TOLERANCE: Duration = Duration::from_millis(10);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// Returns the number of calls that are admitted out of `calls`.
fn admitted<E>(calls: usize, call: impl Fn() -> Result<(), E>) -> usize {
    (0..calls).filter(|_| call().is_ok()).count()
}

/// Runs `act` under a fake clock that is `by` ahead of the real one.
fn ahead<R>(by: Duration, act: impl FnOnce(&FakeClock) -> R) -> R {
    let clock = FakeClock::new();
    clock.advance(by);
    let _entered = clock.enter();
    act(&clock)
}

const RECOVERY: Duration = Duration::from_secs(30);
const CONFIG: BreakerConfig =
    BreakerConfig::new().failure_threshold(1).recovery_timeout(RECOVERY).half_open_max_calls(1);

#[test]
fn a_state_lasts_its_full_time_under_another_clock() {
    type EnterState = fn(&CircuitBreaker, &FakeClock);
    let enter_state: [(&str, EnterState); 7] = [
        ("open", |breaker, _| drop(breaker.call(failure))),
        ("open, and later opened by an override", |breaker, clock| {
            breaker.call(failure).unwrap_err();
            clock.advance(HOUR);
            breaker.apply_override(&Override::open());
        }),
        ("open with an expiry", |breaker, _| breaker.apply_override(&Override::open().expires_in(RECOVERY))),
        ("open with an expiry that was set later", |breaker, clock| {
            breaker.apply_override(&Override::open());
            clock.advance(HOUR);
            breaker.apply_override(&Override::open().expires_in(RECOVERY));
        }),
        ("forced open with an expiry", |breaker, _| breaker.force_open_for(RECOVERY)),
        ("forced open with an expiry that was set later", |breaker, clock| {
            breaker.force_open();
            clock.advance(HOUR);
            breaker.force_open_for(RECOVERY);
        }),
        ("half-open, with a trial call that never ends", |breaker, clock| {
            breaker.call(failure).unwrap_err();
            clock.advance(RECOVERY);
            mem::forget(breaker.try_acquire());
        }),
    ];
    for (how, enter_state) in enter_state {
        for moved in [RECOVERY, HOUR, 24 * HOUR] {
            let breaker = CircuitBreaker::new("state kept", CONFIG);
            ahead(moved, |clock| enter_state(&breaker, clock));
            ahead(Duration::ZERO, |clock| {
                if breaker.state() != BreakerState::HalfOpen {
                    assert_eq!(breaker.snapshot().open_for, Some(RECOVERY), "{how}, {moved:?} ahead");
                }
                let wait = |waited, left| {
                    let rejected = breaker.try_acquire().unwrap_err();
                    let wait = rejected.retry_after().unwrap();
                    // The start of a trial call is stored with a resolution of 1/2000 of the recovery timeout.
                    assert!(wait.abs_diff(left) <= RECOVERY / 2_000, "{how}, {moved:?} ahead: {wait:?} for {left:?}");
                    assert_eq!(rejected.elapsed(), Some(waited), "{how}, {moved:?} ahead");
                };
                wait(Duration::ZERO, RECOVERY);
                clock.advance(RECOVERY - 2 * TOLERANCE);
                wait(RECOVERY - 2 * TOLERANCE, 2 * TOLERANCE);
                clock.advance(2 * TOLERANCE);
                breaker.call(|| Ok::<_, io::Error>(())).unwrap();
                assert_eq!(breaker.state(), BreakerState::Closed, "{how}, {moved:?} ahead");
            });
        }
    }
}

#[test]
fn a_hung_trial_call_does_not_keep_its_permit_longer_under_another_clock() {
    let breaker = CircuitBreaker::new("trial", CONFIG);
    ahead(Duration::ZERO, |clock| {
        breaker.call(failure).unwrap_err();
        clock.advance(RECOVERY);
        drop(breaker.try_acquire().unwrap());
        clock.advance(RECOVERY);
        mem::forget(breaker.try_acquire());
    });
    // The time of this clock is after the circuit became half-open, and before the trial call started.
    ahead(RECOVERY + SECOND, |clock| {
        assert!(breaker.try_acquire().unwrap_err().retry_after().unwrap() <= RECOVERY);
        clock.advance(RECOVERY);
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), BreakerState::Closed);
    });
}

#[test]
fn a_disabled_breaker_expires_under_another_clock() {
    let breaker = CircuitBreaker::new("disabled", CONFIG);
    ahead(HOUR, |_| breaker.disable_for(RECOVERY));
    ahead(Duration::ZERO, |clock| {
        assert_eq!(breaker.snapshot().disabled_for, Some(RECOVERY));
        breaker.call(failure).unwrap_err();
        clock.advance(RECOVERY);
        breaker.call(failure).unwrap_err();
        assert_eq!(breaker.state(), BreakerState::Open);
    });
}

#[test]
fn a_ramp_ends_under_another_clock() {
    let breaker = CircuitBreaker::new("ramp", CONFIG.ramp_up(RECOVERY));
    ahead(HOUR, |clock| {
        breaker.call(failure).unwrap_err();
        clock.advance(RECOVERY);
        breaker.call(|| Ok::<_, io::Error>(())).unwrap();
    });
    let admitted_of_1000 = || admitted(1_000, || breaker.try_acquire().map(Permit::success));
    ahead(Duration::ZERO, |clock| {
        assert!((50..200).contains(&admitted_of_1000()), "about a tenth of the calls");
        clock.advance(RECOVERY + Duration::from_millis(20));
        assert_eq!(admitted_of_1000(), 1_000);
    });
}

#[test]
fn history_entries_stay_in_order() {
    let breaker = CircuitBreaker::new("order", CONFIG);
    for (moved, is_rejected) in [(HOUR, true), (Duration::ZERO, false)] {
        ahead(moved, |clock| {
            breaker.call(failure).unwrap_err();
            clock.advance(SECOND);
            if is_rejected {
                breaker.call(failure).unwrap_err();
            }
            clock.advance(RECOVERY);
            breaker.call(|| Ok::<_, io::Error>(())).unwrap();
        });
    }
    let dates: Vec<_> = breaker.recent().into_iter().map(|entry| entry.at).collect();
    assert!(dates.is_sorted(), "{dates:?}");
    let events: Vec<_> = breaker
        .recent()
        .into_iter()
        .map(|entry| match entry.what {
            HistoryEvent::StateChanged { to, .. } => to.to_string(),
            _ => "rejected".to_owned(),
        })
        .collect();
    assert_eq!(events, ["open", "rejected", "half-open", "closed", "open", "half-open", "closed"]);
}

#[test]
fn snapshots_under_another_clock_change_nothing() {
    let clock = FakeClock::new();
    clock.advance(HOUR);
    let _entered = clock.enter();
    let (limits, keyed) = (
        ALGORITHMS.map(|algorithm| RateLimit::new("inspected", RateLimitConfig::new(3, SECOND).algorithm(algorithm))),
        KeyedRateLimits::new("inspected", RateLimitConfig::new(1, SECOND)),
    );
    let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().ratio(0.0).reserve_per_second(1)));
    let policy = RetryPolicy::new().max_attempts(6).backoff(Schedule::none()).budget(budget);
    let window = BreakerConfig::new().window(Window::time(SECOND)).min_calls(5);
    let windowed = CircuitBreaker::new("inspected", window);
    let open = CircuitBreaker::new("inspected", CONFIG);

    for limit in &limits {
        assert_eq!(admitted(5, || limit.try_acquire()), 3);
    }
    keyed.limit("ada").try_acquire().unwrap();
    policy.run(failure).unwrap_err();
    windowed.call(failure).unwrap_err();
    open.call(failure).unwrap_err();
    let inspect = || {
        let limits = limits.each_ref().map(|limit| limit.snapshot().in_window);
        let open_for = open.snapshot().open_for.unwrap();
        (limits, keyed.snapshot().reached, budget.balance(), windowed.snapshot().window.unwrap().calls, open_for)
    };
    let before = inspect();
    assert_eq!(before, ([3, 3], 1, 5, 1, RECOVERY));
    // Under a clock that is ahead, the windows are empty and the reserve is full; under one that is behind, nothing has started yet.
    assert_eq!(ahead(2 * HOUR, |_| inspect()), ([0, 0], 0, 10, 0, Duration::ZERO));
    assert_eq!(ahead(Duration::ZERO, |_| inspect()), ([0, 0], 0, 10, 0, RECOVERY));
    assert_eq!(inspect(), before);
    for limit in &limits {
        limit.try_acquire().unwrap_err();
    }
    keyed.limit("ada").try_acquire().unwrap_err();
    open.try_acquire().unwrap_err();
}

#[test]
fn a_reset_rate_limit_is_empty() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    for algorithm in ALGORITHMS {
        let limit = RateLimit::new("reset", RateLimitConfig::new(3, SECOND).algorithm(algorithm));
        assert_eq!(admitted(5, || limit.try_acquire()), 3);
        limit.reset();
        assert_eq!(limit.snapshot().to_string(), "reset: 0 of 3 in 1s, 0 waiting; 3 admitted, 2 rejected");
        assert_eq!(admitted(5, || limit.try_acquire()), 3);
    }
    let keyed = KeyedRateLimits::new("reset", RateLimitConfig::new(1, SECOND));
    for user in ["ada", "grace"] {
        keyed.limit(user).try_acquire().unwrap();
    }
    keyed.limit("ada").reset();
    keyed.limit("ada").try_acquire().unwrap();
    keyed.limit("grace").try_acquire().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_is_served_after_a_reset() {
    for algorithm in ALGORITHMS {
        let config = RateLimitConfig::new(1, SECOND).algorithm(algorithm).max_wait(10 * SECOND);
        let limit = RateLimit::new("reset with a waiter", config);
        let wait = || {
            let mut call = Box::pin(limit.acquire_async());
            assert!(pin!(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            call
        };
        limit.try_acquire().unwrap();
        let before = wait();
        limit.reset();
        limit.try_acquire().unwrap_err();
        let after = wait();
        assert_eq!((limit.snapshot().in_window, limit.snapshot().waiting), (0, 2), "{algorithm:?}");
        drop(before);
        after.await.unwrap();
        assert_eq!((limit.snapshot().in_window, limit.snapshot().waiting), (1, 0), "{algorithm:?}");
    }
}

#[test]
fn a_reset_budget_has_only_its_full_reserve() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().ratio(0.5).reserve_per_second(1)));
    let policy = RetryPolicy::new().max_attempts(100).backoff(Schedule::none()).budget(budget);
    for _ in 0..2 {
        for _ in 0..10 {
            policy.run(|| Ok::<_, io::Error>(())).unwrap();
        }
        assert_eq!(budget.balance(), 15);
        policy.run(failure).unwrap_err();
        assert_eq!(budget.balance(), 0);
        // The deposit of this call has not been counted yet when the budget is reset.
        policy.run(|| Ok::<_, io::Error>(())).unwrap();
        budget.reset();
        assert_eq!(budget.balance(), 10);
    }
    assert_eq!((budget.withdrawn(), budget.denied()), (30, 2), "a reset keeps the totals");
}

#[test]
fn policies_recover_from_use_under_concurrent_clocks() {
    let config = |algorithm| RateLimitConfig::new(100, SECOND).algorithm(algorithm);
    let limits = ALGORITHMS.map(|algorithm| RateLimit::new("concurrent clocks", config(algorithm)));
    let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().ratio(0.0).reserve_per_second(1)));
    let policy = RetryPolicy::new().max_attempts(2).backoff(Schedule::none()).budget(budget);
    let windowed = CircuitBreaker::new("concurrent clocks", CONFIG.window(Window::time(SECOND)).min_calls(u32::MAX));
    let open = CircuitBreaker::new("concurrent clocks", CONFIG);
    let call = || {
        for limit in &limits {
            _ = limit.try_acquire();
        }
        policy.run(failure).unwrap_err();
        windowed.call(failure).unwrap_err();
        open.call(failure).unwrap_err();
    };
    thread::scope(|scope| {
        for hours in [0, 0, 1, 2] {
            scope.spawn(move || {
                ahead(hours * HOUR, |clock| {
                    for _ in 0..2_000 {
                        call();
                        clock.advance(Duration::from_millis(1));
                    }
                });
            });
        }
    });
    ahead(Duration::ZERO, |clock| {
        call();
        clock.advance(RECOVERY + SECOND);
        for limit in &limits {
            assert_eq!(admitted(200, || limit.try_acquire()), 100);
        }
        assert!(budget.balance() >= 9, "{}", budget.balance());
        assert_eq!(windowed.snapshot().window.unwrap().calls, 0);
        open.try_acquire().unwrap().success();
        assert_eq!(open.state(), BreakerState::Closed);
    });
}
