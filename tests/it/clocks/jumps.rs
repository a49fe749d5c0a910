//! A clock that jumps back and forth at random, on all that goes by time.

use std::{cell::RefCell, io, mem, time::Duration};

use proptest::{collection::vec, prelude::*};
use steadfast::{
    BreakerState, CircuitBreaker, KeyedBreakers, Override, Permit, RateLimit, RateLimitConfig, RetryBudget,
    RetryPolicy, Schedule, Window, testing::FakeClock,
};

use super::{ALGORITHMS, CONFIG, HOUR, admitted, failure};

/// How long everything lasts: long enough for what a breaker keeps in few bits, which wraps after 64 rests of nothing.
const SPAN: Duration = HOUR;
/// A trial call and a ramp are dated to a two-thousandth of that.
const MARGIN: Duration = Duration::from_secs(4);

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another test's clock, so many seconds ahead of the real one.
    Clock(u64),
    /// For so many seconds.
    Pass(u64),
    /// So many calls, and whether they succeed.
    Call(u32, bool),
    /// A call that never ends.
    Leak,
    /// For so many seconds.
    ForceOpen(u64),
    OpenByOthers(Option<u64>),
    Disable(u64),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![0_u64..60, 0_u64..10 * 3_600].prop_map(Step::Clock),
        3 => (0_u64..40 * 60).prop_map(Step::Pass),
        6 => (1_u32..5, any::<bool>()).prop_map(|(calls, succeeds)| Step::Call(calls, succeeds)),
        1 => Just(Step::Leak),
        1 => (1_u64..3_600).prop_map(Step::ForceOpen),
        1 => proptest::option::of(1_u64..3_600).prop_map(Step::OpenByOthers),
        1 => (1_u64..3_600).prop_map(Step::Disable),
        2 => Just(Step::Look),
    ]
}

/// All that goes by time.
struct Family {
    limits: [RateLimit; 2],
    breakers: [CircuitBreaker; 3],
    keyed: KeyedBreakers,
    policy: RetryPolicy,
    budget: &'static RetryBudget,
}

impl Family {
    fn new() -> Self {
        let config = CONFIG.recovery_timeout(SPAN);
        let windowed = config.window(Window::time(SPAN)).min_calls(3);
        let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().reserve_per_second(1)));
        Self {
            limits: ALGORITHMS
                .map(|algorithm| RateLimit::new("back and forth", RateLimitConfig::new(3, SPAN).algorithm(algorithm))),
            breakers: [config, windowed, config.ramp_up(SPAN)]
                .map(|config| CircuitBreaker::new("back and forth", config)),
            keyed: KeyedBreakers::new("back and forth", windowed),
            policy: RetryPolicy::new().max_attempts(2).backoff(Schedule::none()).budget(budget),
            budget,
        }
    }

    fn does(&self, step: Step) {
        let Self { limits, breakers, keyed, policy, budget } = self;
        match step {
            Step::Clock(_) | Step::Pass(_) => {}
            Step::Call(calls, succeeds) => {
                let call = || if succeeds { Ok(()) } else { failure() };
                for _ in 0..calls {
                    for limit in limits {
                        _ = limit.try_acquire();
                    }
                    for breaker in breakers {
                        _ = breaker.call(call);
                    }
                    _ = keyed.breaker("key").call(call);
                    _ = policy.run(call);
                }
            }
            Step::Leak => {
                for breaker in breakers {
                    mem::forget(breaker.try_acquire());
                }
            }
            Step::ForceOpen(seconds) => {
                for breaker in breakers {
                    breaker.force_open_for(Duration::from_secs(seconds));
                }
            }
            Step::OpenByOthers(seconds) => {
                let open = Override::open();
                let open = seconds.map_or(open.clone(), |seconds| open.expires_in(Duration::from_secs(seconds)));
                for breaker in breakers {
                    breaker.apply_override(&open);
                }
            }
            Step::Disable(seconds) => {
                for breaker in breakers {
                    breaker.disable_for(Duration::from_secs(seconds));
                }
            }
            Step::Look => {
                for limit in limits {
                    assert!(limit.snapshot().in_window <= 3);
                }
                for breaker in breakers {
                    let snapshot = breaker.snapshot();
                    assert!(snapshot.open_for.or(snapshot.disabled_for).unwrap_or_default() <= SPAN, "{snapshot}");
                    _ = breaker.recent();
                }
                assert!(budget.balance() < 1_000, "{}", budget.balance());
            }
        }
    }
}

proptest! {
    #[test]
    fn a_clock_that_jumps_back_and_forth_makes_nothing_stand_still(steps in vec(step(), 1..80)) {
        let family = Family::new();
        let clock = RefCell::new(FakeClock::new());
        let mut entered = vec![clock.borrow().enter()];
        for step in steps {
            match step {
                Step::Clock(seconds) => {
                    let other = FakeClock::new();
                    other.advance(Duration::from_secs(seconds));
                    entered.clear();
                    entered.push(other.enter());
                    clock.replace(other);
                }
                Step::Pass(seconds) => clock.borrow().advance(Duration::from_secs(seconds)),
                _ => family.does(step),
            }
        }
        // By whatever clock it is now, all that lasts an hour is over once that has passed.
        let pass = |time| clock.borrow().advance(time);
        family.does(Step::Look);
        family.policy.run(failure).unwrap_err();
        for limit in &family.limits {
            _ = limit.try_acquire();
        }
        for breaker in &family.breakers {
            _ = breaker.try_acquire().map(Permit::success);
        }
        pass(SPAN + MARGIN);
        for limit in &family.limits {
            prop_assert_eq!(admitted(5, || limit.try_acquire()), 3);
        }
        for breaker in &family.breakers {
            let state = breaker.state();
            prop_assert!(breaker.call(|| Ok::<_, io::Error>(())).is_ok(), "{}", breaker.snapshot());
            prop_assert_eq!(breaker.state(), BreakerState::Closed, "after {}", state);
        }
        // Nothing is in the window any more.
        pass(SPAN + SPAN / 16 + MARGIN);
        let windowed = family.breakers[1].snapshot().window.unwrap();
        prop_assert_eq!((windowed.calls, windowed.failures), (0, 0));
        pass(10 * SPAN);
        prop_assert!(family.budget.balance() >= 9, "{}", family.budget.balance());
    }
}
