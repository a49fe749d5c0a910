//! A clock that jumps forwards and backwards at random, under every policy that depends on time.

use std::{cell::RefCell, io, mem, time::Duration};

use proptest::{collection::vec, prelude::*};
use steadfast::{
    BreakerState, CircuitBreaker, KeyedBreakers, Override, Permit, RateLimit, RateLimitConfig, RetryBudget,
    RetryPolicy, Schedule, Window, testing::FakeClock,
};

use super::{ALGORITHMS, CONFIG, HOUR, admitted, failure};

/// The length of every window and timeout. No sequence lasts 64 times as long, after which a breaker's short timestamps would wrap.
const SPAN: Duration = HOUR;
/// The tolerance for the resolution of the stored start of a trial call or ramp, which is 1/2000 of `SPAN`.
const MARGIN: Duration = Duration::from_secs(4);

/// A step of a random sequence.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Enters a new clock that is this many seconds ahead of the real one.
    Clock(u64),
    /// Advances the clock by this many seconds.
    Pass(u64),
    /// Makes this many calls, which succeed if the flag is true and fail otherwise.
    Call(u32, bool),
    /// Makes a call that never ends.
    Leak,
    /// Forces the circuit open for this many seconds.
    ForceOpen(u64),
    /// Opens the circuit by an override, which expires after this many seconds or not at all.
    OpenByOverride(Option<u64>),
    /// Disables the breaker for this many seconds.
    Disable(u64),
    /// Reads snapshots and checks that their figures are plausible.
    Inspect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![0_u64..60, 0_u64..10 * 3_600].prop_map(Step::Clock),
        3 => (0_u64..40 * 60).prop_map(Step::Pass),
        6 => (1_u32..5, any::<bool>()).prop_map(|(calls, succeeds)| Step::Call(calls, succeeds)),
        1 => Just(Step::Leak),
        1 => (1_u64..3_600).prop_map(Step::ForceOpen),
        1 => proptest::option::of(1_u64..3_600).prop_map(Step::OpenByOverride),
        1 => (1_u64..3_600).prop_map(Step::Disable),
        2 => Just(Step::Inspect),
    ]
}

/// Policies of each kind that depends on time.
struct Policies {
    limits: [RateLimit; 2],
    breakers: [CircuitBreaker; 3],
    keyed: KeyedBreakers,
    policy: RetryPolicy,
    budget: &'static RetryBudget,
}

impl Policies {
    fn new() -> Self {
        let config = CONFIG.recovery_timeout(SPAN);
        let windowed = config.window(Window::time(SPAN)).min_calls(3);
        let budget: &'static RetryBudget = Box::leak(Box::new(RetryBudget::new().reserve_per_second(1)));
        Self {
            limits: ALGORITHMS
                .map(|algorithm| RateLimit::new("jumping clock", RateLimitConfig::new(3, SPAN).algorithm(algorithm))),
            breakers: [config, windowed, config.ramp_up(SPAN)]
                .map(|config| CircuitBreaker::new("jumping clock", config)),
            keyed: KeyedBreakers::new("jumping clock", windowed),
            policy: RetryPolicy::new().max_attempts(2).backoff(Schedule::none()).budget(budget),
            budget,
        }
    }

    fn apply(&self, step: Step) {
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
            Step::OpenByOverride(seconds) => {
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
            Step::Inspect => {
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
    fn everything_expires_under_a_clock_that_jumps(steps in vec(step(), 1..80)) {
        let policies = Policies::new();
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
                _ => policies.apply(step),
            }
        }
        // Under any clock, everything that lasts an hour has ended once an hour has passed.
        let pass = |time| clock.borrow().advance(time);
        policies.apply(Step::Inspect);
        policies.policy.run(failure).unwrap_err();
        for limit in &policies.limits {
            _ = limit.try_acquire();
        }
        for breaker in &policies.breakers {
            _ = breaker.try_acquire().map(Permit::success);
        }
        pass(SPAN + MARGIN);
        for limit in &policies.limits {
            prop_assert_eq!(admitted(5, || limit.try_acquire()), 3);
        }
        for breaker in &policies.breakers {
            let state = breaker.state();
            prop_assert!(breaker.call(|| Ok::<_, io::Error>(())).is_ok(), "{}", breaker.snapshot());
            prop_assert_eq!(breaker.state(), BreakerState::Closed, "after {}", state);
        }
        // The windows are empty now.
        pass(SPAN + SPAN / 16 + MARGIN);
        let windowed = policies.breakers[1].snapshot().window.unwrap();
        prop_assert_eq!((windowed.calls, windowed.failures), (0, 0));
        pass(10 * SPAN);
        prop_assert!(policies.budget.balance() >= 9, "{}", policies.budget.balance());
    }
}
