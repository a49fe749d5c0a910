//! Properties of any retry policy, with any sequence of attempts.

use std::{cell::RefCell, time::Duration};

use proptest::{collection::vec, option, prelude::*};
use steadfast::{Jitter, RetryPolicy, Schedule, Transient, testing::FakeClock};

/// The duration and the error of an attempt.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    takes: Duration,
    error: Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Transient)]
enum Failed {
    #[transient(retry_after = hint)]
    Transient {
        number: usize,
        hint: Option<Duration>,
    },
    Permanent,
}

/// Short durations, long ones, and those at the ends of the range.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..10_000_000_u64).prop_map(Duration::from_micros),
        (0..100_000_u64).prop_map(Duration::from_secs),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ]
}

/// A schedule and its longest delay.
fn schedule() -> impl Strategy<Value = (Schedule, Duration)> {
    (duration(), duration(), duration(), 1.0..1e9_f64, 0..6).prop_map(|(one, other, step, factor, kind)| {
        let (base, max) = (one.min(other), one.max(other));
        match kind {
            0 => (Schedule::exponential(base, factor, max), max),
            1 => (Schedule::linear(base, step, max), max),
            2 => (Schedule::fibonacci(base, max), max),
            3 => (Schedule::decorrelated(base, max), max),
            4 => (Schedule::fixed(base), base.saturating_mul(2)), // proportional jitter adds up to the delay itself
            _ => (Schedule::none(), Duration::ZERO),
        }
    })
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::none()),
        Just(Jitter::full()),
        Just(Jitter::equal()),
        (0.0..=1.0).prop_map(Jitter::proportional),
        (0.0..=1.0).prop_map(Jitter::symmetric),
    ]
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (duration(), option::weighted(0.2, duration()), prop::bool::weighted(0.05));
    vec(attempt, 1..12).prop_map(|attempts| {
        let failed = |(number, (takes, hint, is_permanent))| {
            let error = if is_permanent { Failed::Permanent } else { Failed::Transient { number, hint } };
            Attempt { takes, error }
        };
        attempts.into_iter().enumerate().map(failed).collect()
    })
}

proptest! {
    #[test]
    fn delays_attempts_and_elapsed_time_stay_within_their_bounds(
        (schedule, longest) in schedule(),
        jitter in jitter(),
        max_attempts in 1..12_u32,
        max_elapsed in option::of(duration()),
        longest_hint in duration(),
        attempts in attempts(),
    ) {
        let policy = RetryPolicy::new().max_attempts(max_attempts).backoff(schedule).jitter(jitter);
        let policy = policy.max_retry_after(longest_hint.max(Duration::from_nanos(1)));
        let policy = max_elapsed.map_or(policy, |limit| policy.max_elapsed(limit));
        let clock = FakeClock::new();
        let _entered = clock.enter();
        let began = RefCell::new(Vec::new());
        let result = policy.run(|| {
            let number = began.borrow().len();
            began.borrow_mut().push(clock.elapsed());
            let Attempt { takes, error } = attempts[number.min(attempts.len() - 1)];
            clock.advance(takes);
            Err::<(), _>(error)
        });
        let (began, slept) = (began.take(), clock.slept());
        let made = began.len();
        prop_assert!(made >= 1 && made <= max_attempts as usize);
        // The result is the error of the last attempt; no attempt follows a permanent error.
        let error_of = |number: usize| attempts[number.min(attempts.len() - 1)].error;
        prop_assert_eq!(result.unwrap_err(), error_of(made - 1));
        prop_assert!((0..made - 1).all(|number| error_of(number) != Failed::Permanent));
        // No attempt begins after max_elapsed.
        if let Some(limit) = max_elapsed {
            prop_assert!(began[1..].iter().all(|began| *began <= limit.saturating_add(Duration::from_micros(made as u64))));
        }
        // Each delay is within the bounds of its schedule, or between a hint, which is not too long, and the hint and a quarter.
        let hints: Vec<_> = (0..made).filter_map(|number| match error_of(number) {
            Failed::Transient { hint, .. } => hint,
            Failed::Permanent => None,
        }).collect();
        let follows = |hint: &Duration, delay: Duration| *hint <= longest_hint && delay >= *hint && delay <= hint.saturating_add(*hint / 4);
        let is_expected = |delay: Duration| delay <= longest || hints.iter().any(|hint| follows(hint, delay));
        prop_assert!(slept.iter().all(|delay| is_expected(*delay)), "{:?} {:?}", slept, longest);
        prop_assert!(slept.len() < made);
    }
}
