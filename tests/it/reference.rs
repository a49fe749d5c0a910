//! A breaker of obvious correctness beside the real one: both are asked the same things and must give the same answers.
//!
//! The reference is one thread's, keeps every result and computes every answer anew. Of the real one's arithmetic it has
//! only what users are told: a window of time is kept in parts, and a half-open circuit measures a trial call's time
//! roughly.

mod model;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use proptest::prelude::*;
use steadfast::{BreakerConfig, BreakerState, CircuitBreaker, CircuitOpen, OpenReason, Permit, Window};
use tokio::{runtime, time::advance};

use self::model::{Admission, Model, Outcome, Place, Policy, Settings};

#[derive(Clone, Debug)]
enum Operation {
    Acquire,
    End(usize, Outcome),
    Panic,
    Advance(u64),
    ForceOpen(Option<u64>),
    Disable(Option<u64>),
    Reset,
    Reconfigure(usize),
}

const MILLI: u64 = 1_000;

fn policy() -> impl Strategy<Value = Policy> {
    let rate = prop_oneof![Just(0.5), Just(0.25), Just(1.0), Just(0.1), Just(0.6)];
    let slow = prop_oneof![Just(None), Just(Some((300 * MILLI, 0.5))), Just(Some((70 * MILLI, 0.34)))];
    let by_rate = (prop::bool::ANY, 5..=8_u32, prop::bool::ANY, rate, 1..=9_u32, slow);
    prop_oneof![
        1 => (1..=4_u32).prop_map(|threshold| Policy::InARow { threshold }),
        // Sizes between two powers of two, so that other sizes have kept what these need.
        2 => by_rate.prop_map(|(by_calls, calls, long, failure_rate, min_calls, slow)| Policy::ByRate {
            calls: by_calls.then_some(calls),
            time: if long { 2_000 * MILLI } else { 1_600 * MILLI },
            failure_rate,
            min_calls,
            slow,
        }),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let recovery = prop_oneof![
        Just((1_000 * MILLI, 1.0, 1_000 * MILLI)),
        Just((1_000 * MILLI, 2.0, 5_000 * MILLI)),
        Just((700 * MILLI, 3.0, 8_000 * MILLI)),
    ];
    (policy(), recovery, 1..=4_u32, prop::bool::weighted(0.1))
        .prop_map(|(policy, recovery, trials, observe_only)| Settings { policy, recovery, trials, observe_only })
}

fn operation() -> impl Strategy<Value = Operation> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        5 => Just(Outcome::Failure),
        1 => Just(Outcome::Neutral),
    ];
    // About the limits, on both sides of them.
    let times = [1, 50, 70, 100, 300, 700, 1_000, 1_600, 2_000, 2_100, 4_000, 5_000, 8_000];
    let time = (prop::sample::select(times.to_vec()), prop::sample::select(vec![-1_i64, 0, 1, 65_536, 999]));
    let hold = prop::option::of(prop::sample::select(vec![0, 500 * MILLI, 1_500 * MILLI]));
    prop_oneof![
        14 => Just(Operation::Acquire),
        16 => (0..100_usize, outcome).prop_map(|(which, outcome)| Operation::End(which, outcome)),
        1 => Just(Operation::Panic),
        8 => time.prop_map(|(millis, offset)| Operation::Advance((millis * MILLI).saturating_add_signed(offset))),
        1 => hold.clone().prop_map(Operation::ForceOpen),
        1 => hold.prop_map(Operation::Disable),
        1 => Just(Operation::Reset),
        2 => (0..3_usize).prop_map(Operation::Reconfigure),
    ]
}

fn config(settings: &Settings) -> BreakerConfig {
    let micros = Duration::from_micros;
    let (base, factor, max) = settings.recovery;
    let config = BreakerConfig::new()
        .exponential_recovery(micros(base), factor, micros(max))
        .half_open_max_calls(settings.trials)
        .observe_only(settings.observe_only);
    match settings.policy {
        Policy::InARow { threshold } => config.failure_threshold(threshold),
        Policy::ByRate { calls, time, failure_rate, min_calls, slow } => {
            let window = calls.map_or_else(|| Window::time(micros(time)), Window::calls);
            let config = config.window(window).failure_rate(failure_rate).min_calls(min_calls);
            match slow {
                Some((limit, rate)) => config.slow_call(micros(limit)).slow_call_rate(rate),
                None => config,
            }
        }
    }
}

/// One history, in both.
async fn compare(all: &[Settings], operations: &[Operation]) -> Result<(), TestCaseError> {
    let breaker = CircuitBreaker::new("modelled", config(&all[0]));
    let mut model = Model::new(all[0].clone());
    let mut permits: Vec<(Permit<'_>, Place)> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Acquire | Operation::Panic if model.is_about_to_give_up() => {}
            Operation::Acquire => {
                let (real, expected) = (breaker.try_acquire(), model.acquire());
                check_admission(real.as_ref().err(), &expected)?;
                if let (Ok(permit), Admission::Admitted(place)) = (real, expected) {
                    permits.push((permit, place));
                }
            }
            Operation::End(..) if permits.is_empty() => {}
            Operation::End(which, outcome) => {
                let (permit, place) = permits.swap_remove(which % permits.len());
                match outcome {
                    Outcome::Success => permit.success(),
                    Outcome::Failure => permit.failure(),
                    Outcome::Neutral => drop(permit),
                }
                model.end(place, *outcome);
            }
            Operation::Panic => {
                let call =
                    || breaker.call(|| -> Result<(), CircuitOpen> { resume_unwind(Box::new("out of the call")) });
                let real = catch_unwind(AssertUnwindSafe(call));
                let expected = model.acquire();
                check_admission(real.as_ref().ok().and_then(|result| result.as_ref().err()), &expected)?;
                if let Admission::Admitted(place) = expected {
                    model.end(place, Outcome::Failure);
                }
            }
            Operation::Advance(micros) => {
                advance(Duration::from_micros(*micros)).await;
                model.now += micros;
            }
            Operation::ForceOpen(hold) => {
                match hold {
                    Some(micros) => breaker.force_open_for(Duration::from_micros(*micros)),
                    None => breaker.force_open(),
                }
                model.force_open(*hold);
            }
            Operation::Disable(hold) => {
                match hold {
                    Some(micros) => breaker.disable_for(Duration::from_micros(*micros)),
                    None => breaker.disable(),
                }
                model.disable(*hold);
            }
            Operation::Reset => {
                breaker.reset();
                model.reset();
            }
            Operation::Reconfigure(which) => {
                let settings = &all[which % all.len()];
                breaker.reconfigure(config(settings));
                model.reconfigure(settings.clone());
            }
        }
        check_snapshot(&breaker, &model)?;
    }
    Ok(())
}

fn check_admission(rejected: Option<&CircuitOpen>, expected: &Admission) -> Result<(), TestCaseError> {
    match (rejected, expected) {
        (None, Admission::Admitted(_)) => Ok(()),
        (Some(rejected), Admission::Refused { reason, retry_after }) => {
            prop_assert_eq!(rejected.reason(), *reason);
            let micros = rejected.retry_after().map(|wait| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
            if *reason == OpenReason::TrialsUnderWay {
                let (real, expected) = (micros.unwrap_or(0), retry_after.unwrap_or(0));
                prop_assert!(real.abs_diff(expected) <= model::ROUGHLY, "{} and {}", real, expected);
            } else {
                prop_assert_eq!(micros, *retry_after);
            }
            Ok(())
        }
        _ => Err(TestCaseError::fail(format!("{rejected:?} instead of {expected:?}"))),
    }
}

fn check_snapshot(breaker: &CircuitBreaker, model: &Model) -> Result<(), TestCaseError> {
    let snapshot = breaker.snapshot();
    prop_assert_eq!(snapshot.state, model.state());
    prop_assert_eq!(snapshot.consecutive_failures, model.failures_in_a_row());
    let window = snapshot.window.map(|window| (window.calls, window.failures, window.slow));
    prop_assert_eq!(window, model.window());
    let totals = [snapshot.successes, snapshot.failures, snapshot.neutral, snapshot.rejections, snapshot.transitions];
    prop_assert_eq!(totals, model.totals());
    prop_assert_eq!(snapshot.failed_recoveries, model.failed_recoveries());
    let left = snapshot.open_for.or(snapshot.disabled_for).map(|left| u64::try_from(left.as_micros()).unwrap_or(0));
    prop_assert_eq!(left, model.time_left());
    if snapshot.state == BreakerState::Open {
        prop_assert_eq!(snapshot.open_reason, model.open_reason());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn the_real_breaker_does_as_the_reference(
        all in prop::collection::vec(settings(), 3),
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(compare(&all, &operations))?;
    }
}

/// A few thousand by default; `PROPTEST_CASES` says otherwise.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3_000)
}
