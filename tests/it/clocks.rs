//! Clocks of several tests on what they share: one after the other, and at the same time.

mod jumps;

use std::{
    cell::Cell,
    io, mem,
    pin::pin,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use steadfast::{
    Algorithm, BreakerConfig, BreakerState, CircuitBreaker, HistoryEvent, KeyedRateLimits, Override, Permit, RateLimit,
    RateLimitConfig, RetryBudget, RetryPolicy, Schedule, Window, breaker, circuit_breaker, keyed_breakers, rate_limit,
    retry, testing::FakeClock,
};
use tokio::{
    runtime::Builder,
    time::{Instant, advance},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// By how much cores may disagree about the time.
const APART: Duration = Duration::from_millis(10);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

/// As two tests of a user run: one after the other, each with a paused clock of its own that it moves on.
fn twice(test: impl AsyncFn()) {
    for _ in 0..2 {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test());
    }
}

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

/// How many of so many calls are let through.
fn admitted<E>(calls: usize, call: impl Fn() -> Result<(), E>) -> usize {
    (0..calls).filter(|_| call().is_ok()).count()
}

#[rate_limit(name = "one clock after the other", limit = 3, per = 1s)]
async fn limited() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "one clock after the other, gcra", limit = 3, per = 1s, algorithm = gcra)]
async fn limited_evenly() -> io::Result<()> {
    Ok(())
}

#[rate_limit(name = "one clock after the other, waiting", limit = 1, per = 1s, max_wait = 5s)]
async fn waiting() -> io::Result<()> {
    Ok(())
}

#[test]
fn a_rate_limit() {
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
fn a_rate_limit_whose_calls_wait() {
    twice(async || {
        let start = Instant::now();
        for waited in [0, 1, 2] {
            waiting().await.unwrap();
            assert_eq!(start.elapsed().as_secs(), waited);
        }
        advance(20 * SECOND).await;
    });
}

#[rate_limit(name = "one clock after the other, keyed", limit = 1, per = 1m, key = user)]
fn of_a_user(user: &str) -> io::Result<()> {
    Ok(())
}

#[test]
fn a_keyed_rate_limit() {
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
    name = "one clock after the other",
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
fn a_breaker_with_a_window_of_time() {
    twice(async || {
        let breaker = breaker("one clock after the other").unwrap();
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

#[circuit_breaker(name = "one clock after the other, keyed", window = time(20s), min_calls = 2, key = host)]
fn of_a_host(host: &str) -> io::Result<()> {
    failure()
}

#[test]
fn a_keyed_breaker() {
    twice(async || {
        let opened = |host| keyed_breakers("one clock after the other, keyed").unwrap().get(host).unwrap().state();
        for host in ["left", "right"] {
            for _ in 0..2 {
                of_a_host(host).unwrap_err();
                advance(20 * SECOND).await;
            }
            assert_eq!(opened(host), BreakerState::Closed, "never two in a window");
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
fn a_budget_and_its_retries() {
    twice(async || {
        // Ten seconds' worth to begin with, and two retries with each call, in the two seconds in which two come in.
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
fn a_retry_with_a_limit_of_time() {
    twice(async || {
        CALLS.set(0);
        let start = Instant::now();
        persistent().await.unwrap_err();
        assert_eq!((CALLS.get(), start.elapsed().as_secs()), (11, 600));
    });
}

/// Enters a clock that is so far ahead of the real one.
fn ahead<R>(by: Duration, act: impl FnOnce(&FakeClock) -> R) -> R {
    let clock = FakeClock::new();
    clock.advance(by);
    let _entered = clock.enter();
    act(&clock)
}

const REST: Duration = Duration::from_secs(30);
const CONFIG: BreakerConfig = BreakerConfig::new().failure_threshold(1).recovery_timeout(REST).half_open_max_calls(1);

#[test]
fn what_a_breaker_was_left_in_lasts_as_long_as_it_ever_did() {
    type Leave = fn(&CircuitBreaker, &FakeClock);
    let leave: [(&str, Leave); 7] = [
        ("open", |breaker, _| drop(breaker.call(failure))),
        ("open, and opened again later by someone else", |breaker, clock| {
            breaker.call(failure).unwrap_err();
            clock.advance(HOUR);
            breaker.apply_override(&Override::open());
        }),
        ("open until a moment", |breaker, _| breaker.apply_override(&Override::open().expires_in(REST))),
        ("open until a moment that was named later", |breaker, clock| {
            breaker.apply_override(&Override::open());
            clock.advance(HOUR);
            breaker.apply_override(&Override::open().expires_in(REST));
        }),
        ("forced open for a time", |breaker, _| breaker.force_open_for(REST)),
        ("forced open for a time that was set later", |breaker, clock| {
            breaker.force_open();
            clock.advance(HOUR);
            breaker.force_open_for(REST);
        }),
        ("half-open, with a trial call that never ends", |breaker, clock| {
            breaker.call(failure).unwrap_err();
            clock.advance(REST);
            mem::forget(breaker.try_acquire());
        }),
    ];
    for (how, leave) in leave {
        for moved in [REST, HOUR, 24 * HOUR] {
            let breaker = CircuitBreaker::new("left", CONFIG);
            ahead(moved, |clock| leave(&breaker, clock));
            ahead(Duration::ZERO, |clock| {
                if breaker.state() != BreakerState::HalfOpen {
                    assert_eq!(breaker.snapshot().open_for, Some(REST), "{how}, {moved:?} ahead");
                }
                let wait = |waited, left| {
                    let rejected = breaker.try_acquire().unwrap_err();
                    let wait = rejected.retry_after().unwrap();
                    // A trial call is dated to a two-thousandth of the rest.
                    assert!(wait.abs_diff(left) <= REST / 2_000, "{how}, {moved:?} ahead: {wait:?} for {left:?}");
                    assert_eq!(rejected.elapsed(), Some(waited), "{how}, {moved:?} ahead");
                };
                wait(Duration::ZERO, REST);
                clock.advance(REST - 2 * APART);
                wait(REST - 2 * APART, 2 * APART);
                clock.advance(2 * APART);
                breaker.call(|| Ok::<_, io::Error>(())).unwrap();
                assert_eq!(breaker.state(), BreakerState::Closed, "{how}, {moved:?} ahead");
            });
        }
    }
}

#[test]
fn a_trial_call_that_never_ends_keeps_its_place_no_longer_than_it_ever_did() {
    let breaker = CircuitBreaker::new("trial", CONFIG);
    ahead(Duration::ZERO, |clock| {
        breaker.call(failure).unwrap_err();
        clock.advance(REST);
        drop(breaker.try_acquire().unwrap());
        clock.advance(REST);
        mem::forget(breaker.try_acquire());
    });
    // Later than the circuit was half-open, and earlier than that call.
    ahead(REST + SECOND, |clock| {
        assert!(breaker.try_acquire().unwrap_err().retry_after().unwrap() <= REST);
        clock.advance(REST);
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), BreakerState::Closed);
    });
}

#[test]
fn a_breaker_that_was_disabled_for_a_time() {
    let breaker = CircuitBreaker::new("disabled", CONFIG);
    ahead(HOUR, |_| breaker.disable_for(REST));
    ahead(Duration::ZERO, |clock| {
        assert_eq!(breaker.snapshot().disabled_for, Some(REST));
        breaker.call(failure).unwrap_err();
        clock.advance(REST);
        breaker.call(failure).unwrap_err();
        assert_eq!(breaker.state(), BreakerState::Open);
    });
}

#[test]
fn a_ramp() {
    let breaker = CircuitBreaker::new("ramp", CONFIG.ramp_up(REST));
    ahead(HOUR, |clock| {
        breaker.call(failure).unwrap_err();
        clock.advance(REST);
        breaker.call(|| Ok::<_, io::Error>(())).unwrap();
    });
    let through = || admitted(1_000, || breaker.try_acquire().map(Permit::success));
    ahead(Duration::ZERO, |clock| {
        assert!((50..200).contains(&through()), "a tenth of the calls");
        clock.advance(REST + Duration::from_millis(20));
        assert_eq!(through(), 1_000);
    });
}

#[test]
fn what_happened_stays_in_its_order() {
    let breaker = CircuitBreaker::new("order", CONFIG);
    for (moved, is_rejected) in [(HOUR, true), (Duration::ZERO, false)] {
        ahead(moved, |clock| {
            breaker.call(failure).unwrap_err();
            clock.advance(SECOND);
            if is_rejected {
                breaker.call(failure).unwrap_err();
            }
            clock.advance(REST);
            breaker.call(|| Ok::<_, io::Error>(())).unwrap();
        });
    }
    let dates: Vec<_> = breaker.recent().into_iter().map(|incident| incident.at).collect();
    assert!(dates.is_sorted(), "{dates:?}");
    let told: Vec<_> = breaker
        .recent()
        .into_iter()
        .map(|incident| match incident.what {
            HistoryEvent::StateChanged { to, .. } => to.to_string(),
            _ => "rejected".to_owned(),
        })
        .collect();
    assert_eq!(told, ["open", "rejected", "half-open", "closed", "open", "half-open", "closed"]);
}

#[test]
fn looking_by_another_clock_changes_nothing() {
    let clock = FakeClock::new();
    clock.advance(HOUR);
    let _entered = clock.enter();
    let (limits, keyed) = (
        ALGORITHMS.map(|algorithm| RateLimit::new("looked at", RateLimitConfig::new(3, SECOND).algorithm(algorithm))),
        KeyedRateLimits::new("looked at", RateLimitConfig::new(1, SECOND)),
    );
    let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().ratio(0.0).reserve_per_second(1)));
    let policy = RetryPolicy::new().max_attempts(6).backoff(Schedule::none()).budget(budget);
    let window = BreakerConfig::new().window(Window::time(SECOND)).min_calls(5);
    let windowed = CircuitBreaker::new("looked at", window);
    let open = CircuitBreaker::new("looked at", CONFIG);

    for limit in &limits {
        assert_eq!(admitted(5, || limit.try_acquire()), 3);
    }
    keyed.limit("ada").try_acquire().unwrap();
    policy.run(failure).unwrap_err();
    windowed.call(failure).unwrap_err();
    open.call(failure).unwrap_err();
    let look = || {
        let limits = limits.each_ref().map(|limit| limit.snapshot().in_window);
        let open_for = open.snapshot().open_for.unwrap();
        (limits, keyed.snapshot().reached, budget.balance(), windowed.snapshot().window.unwrap().calls, open_for)
    };
    let before = look();
    assert_eq!(before, ([3, 3], 1, 5, 1, REST));
    // What a call would find: nothing left, and nothing yet.
    assert_eq!(ahead(2 * HOUR, |_| look()), ([0, 0], 0, 10, 0, Duration::ZERO));
    assert_eq!(ahead(Duration::ZERO, |_| look()), ([0, 0], 0, 10, 0, REST));
    assert_eq!(look(), before);
    for limit in &limits {
        limit.try_acquire().unwrap_err();
    }
    keyed.limit("ada").try_acquire().unwrap_err();
    open.try_acquire().unwrap_err();
}

#[test]
fn a_rate_limit_that_was_reset_is_as_new() {
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
async fn a_call_that_waits_has_its_turn_after_a_reset() {
    for algorithm in ALGORITHMS {
        let config = RateLimitConfig::new(1, SECOND).algorithm(algorithm).max_wait(10 * SECOND);
        let limit = RateLimit::new("reset while one waits", config);
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
fn a_budget_that_was_reset_is_as_new() {
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
        // Calls that were not yet deposited for.
        policy.run(|| Ok::<_, io::Error>(())).unwrap();
        budget.reset();
        assert_eq!(budget.balance(), 10);
    }
    assert_eq!((budget.withdrawn(), budget.denied()), (30, 2), "the totals stay");
}

#[test]
fn two_clocks_at_the_same_time_do_no_lasting_harm() {
    let config = |algorithm| RateLimitConfig::new(100, SECOND).algorithm(algorithm);
    let limits = ALGORITHMS.map(|algorithm| RateLimit::new("two at once", config(algorithm)));
    let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().ratio(0.0).reserve_per_second(1)));
    let policy = RetryPolicy::new().max_attempts(2).backoff(Schedule::none()).budget(budget);
    let windowed = CircuitBreaker::new("two at once", CONFIG.window(Window::time(SECOND)).min_calls(u32::MAX));
    let open = CircuitBreaker::new("two at once", CONFIG);
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
        clock.advance(REST + SECOND);
        for limit in &limits {
            assert_eq!(admitted(200, || limit.try_acquire()), 100);
        }
        assert!(budget.balance() >= 9, "{}", budget.balance());
        assert_eq!(windowed.snapshot().window.unwrap().calls, 0);
        open.try_acquire().unwrap().success();
        assert_eq!(open.state(), BreakerState::Closed);
    });
}
