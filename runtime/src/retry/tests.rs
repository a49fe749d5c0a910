//! Delays of schedules and jitters, and limits on attempts.

use std::{cell::RefCell, time::Duration};

use proptest::prelude::*;

use super::{
    Jitter, RetryContext, RetryPolicy, Schedule, attempts::Attempts, error_view::ErrorView, named_policy::NamedPolicy,
    statistics::Statistics,
};
use crate::stack::{Disposition, Verdict};

/// The context of a retry after `attempt` attempts.
const fn after(attempt: u32, previous: Duration) -> RetryContext<'static> {
    RetryContext { attempt, previous: Some(previous), elapsed: Duration::ZERO, hint: None, error: None }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The first delays of a schedule without jitter, in seconds.
fn delays(schedule: Schedule, count: u32) -> Vec<f64> {
    (1..=count)
        .map(|retry| {
            schedule.delay(&after(retry, Duration::ZERO), Jitter::none(), Duration::MAX, |most| most).as_secs_f64()
        })
        .collect()
}

#[test]
fn schedules() {
    let s = Duration::from_secs;
    for (name, schedule, expected) in [
        ("exponential", Schedule::exponential(s(1), 2.0, s(40)), vec![1., 2., 4., 8., 16., 32., 40., 40.]),
        ("exponential by 3", Schedule::exponential(s(1), 3.0, s(100)), vec![1., 3., 9., 27., 81., 100.]),
        ("exponential by 1", Schedule::exponential(s(2), 1.0, s(40)), vec![2., 2., 2.]),
        ("exponential by 1.5", Schedule::exponential(s(4), 1.5, s(40)), vec![4., 6., 9., 13.5]),
        ("fixed", Schedule::fixed(s(3)), vec![3., 3., 3.]),
        ("linear", Schedule::linear(s(1), s(2), s(6)), vec![1., 3., 5., 6., 6.]),
        ("fibonacci", Schedule::fibonacci(s(1), s(10)), vec![1., 1., 2., 3., 5., 8., 10., 10.]),
        ("none", Schedule::none(), vec![0., 0., 0.]),
        ("zero base", Schedule::exponential(s(0), 2.0, s(10)), vec![0., 0., 0.]),
    ] {
        let count = u32::try_from(expected.len()).expect("few");
        assert_eq!(delays(schedule, count), expected, "{name}");
    }
}

#[test]
fn delays_are_exact_to_the_nanosecond() {
    let base = Duration::from_nanos(100_000_001);
    let schedule = Schedule::exponential(base, 2.0, Duration::from_hours(480));
    for retry in 1..=24 {
        let expected = base * 2_u32.pow(retry - 1);
        assert_eq!(
            schedule.delay(&after(retry, Duration::ZERO), Jitter::none(), Duration::MAX, |_| 0),
            expected,
            "{retry}"
        );
    }
}

#[test]
fn decorrelated_delays_depend_on_the_previous_delay() {
    let schedule = Schedule::decorrelated(seconds(1.0), seconds(10.0));
    let widest =
        |previous| schedule.delay(&after(2, previous), Jitter::none(), Duration::MAX, |most| most).as_secs_f64();
    let narrowest = |previous| schedule.delay(&after(2, previous), Jitter::none(), Duration::MAX, |_| 0).as_secs_f64();
    for (previous, highest) in [(0.0, 3.0), (1.0, 3.0), (2.5, 7.5), (4.0, 10.0), (10.0, 10.0)] {
        let previous = seconds(previous);
        assert!((widest(previous) - highest).abs() < 1e-9, "{previous:?}");
        assert!((narrowest(previous) - 1.0).abs() < 1e-9, "{previous:?}");
    }
}

/// Counts 100,000 delays in ten equal parts of their range.
fn spread(jitter: Jitter, low: f64, high: f64) -> [u32; 10] {
    let random = RefCell::new(fastrand::Rng::with_seed(42));
    let schedule = Schedule::fixed(seconds(1.0));
    let mut parts = [0; 10];
    for _ in 0..100_000 {
        let delay = schedule
            .delay(&after(1, Duration::ZERO), jitter, Duration::MAX, |most| random.borrow_mut().u64(..=most))
            .as_secs_f64();
        assert!((low..=high).contains(&delay), "{jitter:?} gave {delay}");
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0.0..10.0")]
        let part = ((delay - low) / (high - low) * 10.0) as usize;
        parts[part.min(9)] += 1;
    }
    parts
}

#[test]
fn jitters_are_uniform_in_their_range() {
    for (jitter, low, high) in [
        (Jitter::full(), 0.0, 1.0),
        (Jitter::equal(), 0.5, 1.0),
        (Jitter::proportional(0.1), 1.0, 1.1),
        (Jitter::symmetric(0.2), 0.8, 1.2),
    ] {
        let parts = spread(jitter, low, high);
        // Pearson's chi-squared statistic for ten parts exceeds 27.9 for one seed in a thousand; this seed is fixed.
        let statistic: f64 = parts.iter().map(|count| (f64::from(*count) - 1e4).powi(2) / 1e4).sum();
        assert!(statistic < 27.9, "{jitter:?}: {statistic} from {parts:?}");
    }
}

#[test]
fn large_retry_numbers_have_the_longest_delay() {
    let (base, max) = (seconds(1.0), seconds(1e9));
    for retry in [32, 1_000, 1 << 31, u32::MAX] {
        for schedule in [
            Schedule::exponential(base, 2.0, max),
            Schedule::linear(base, base, seconds(30.0)),
            Schedule::fibonacci(base, seconds(1e6)),
        ] {
            let longest = schedule.delay(&after(retry, Duration::ZERO), Jitter::none(), Duration::MAX, |_| 0);
            let before = schedule.delay(&after(retry - 1, Duration::ZERO), Jitter::none(), Duration::MAX, |_| 0);
            assert!(longest >= before && longest >= seconds(30.0), "{retry} of {schedule:?}: {longest:?}");
        }
    }
}

/// Returns the delay after an attempt that failed with a transient error.
fn delay_after(attempts: &mut Attempts<'_>) -> Option<Duration> {
    let decision = attempts.delay_after((), Verdict::transient_if(true), Disposition::Called, |()| ErrorView::NONE);
    decision.ok().map(|((), delay)| delay)
}

/// Makes attempts with these verdicts until the call ends; returns the delays, and the number of attempts that have failed.
fn delays_after(policy: &RetryPolicy, verdicts: &[Verdict]) -> (Vec<Duration>, u32) {
    let mut attempts = Attempts::of_thread(policy);
    let decide = |verdict: &Verdict| attempts.delay_after((), *verdict, Disposition::Called, |()| ErrorView::NONE).ok();
    let delays = verdicts.iter().map_while(decide).map(|((), delay)| delay).collect();
    (delays, attempts.made())
}

#[test]
fn calls_with_and_without_statistics_have_the_same_delays() {
    const PLAIN: RetryPolicy = RetryPolicy::new().max_attempts(4).jitter(Jitter::none());
    static STATISTICS: Statistics = Statistics::new();
    static COUNTED: NamedPolicy = NamedPolicy::new("counted", PLAIN, &STATISTICS);
    let counted = *COUNTED.current();
    let hint = Some(seconds(7.0));
    let verdicts = [
        Verdict::Success,
        Verdict::Final,
        Verdict::Rejected,
        Verdict::Transient { retry_after: None },
        Verdict::Transient { retry_after: hint },
        Verdict::RetriedRejection { retry_after: hint },
    ];
    for (first, second) in verdicts.iter().flat_map(|first| verdicts.iter().map(move |second| (*first, *second))) {
        for (plain, counted) in [(PLAIN, counted), (PLAIN.retry_rejections(), counted.retry_rejections())] {
            let verdicts = [first, second, Verdict::transient_if(true), Verdict::transient_if(true)];
            assert_eq!(delays_after(&plain, &verdicts), delays_after(&counted, &verdicts), "{verdicts:?}");
        }
    }
}

#[test]
fn attempts_pass_the_previous_delay_to_the_schedule() {
    static POLICY: RetryPolicy = RetryPolicy::new()
        .max_attempts(1_000)
        .backoff(Schedule::decorrelated(Duration::from_secs(1), Duration::from_hours(1)));
    let mut attempts = Attempts::of_thread(&POLICY);
    let delays: Vec<_> = std::iter::from_fn(|| delay_after(&mut attempts)).collect();
    assert_eq!(delays.len(), 999);
    assert!(delays.iter().any(|delay| *delay > seconds(3.0)), "it grows beyond three times the base");
    assert!(delays.windows(2).all(|pair| pair[1] <= pair[0] * 3));
}

#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn tasks_use_the_clock_of_tokio_and_threads_the_clock_of_the_system() {
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none()).max_elapsed(Duration::from_hours(1));
    let (mut task, mut thread) = (Attempts::of_task(&POLICY), Attempts::of_thread(&POLICY));
    tokio::time::advance(Duration::from_hours(2)).await;
    assert_eq!(delay_after(&mut task), None);
    assert_eq!(delay_after(&mut thread), Some(Duration::ZERO));
}

#[test]
fn unlimited_attempts_end_at_the_largest_number() {
    static POLICY: RetryPolicy = RetryPolicy::new().unlimited(Duration::from_hours(1)).backoff(Schedule::none());
    let mut attempts = Attempts::of_thread(&POLICY);
    attempts.skip_to(u32::MAX - 2);
    assert!(delay_after(&mut attempts).is_some());
    assert!(delay_after(&mut attempts).is_some());
    assert_eq!(delay_after(&mut attempts), None);
}

#[test]
fn jitter_does_not_exceed_the_cap() {
    let schedule = Schedule::exponential(seconds(1.0), 2.0, seconds(10.0));
    for retry in 1..40 {
        for jitter in [Jitter::full(), Jitter::equal(), Jitter::proportional(1.0), Jitter::symmetric(1.0)] {
            assert!(
                schedule.delay(&after(retry, Duration::ZERO), jitter, Duration::MAX, |most| most) <= seconds(10.0),
                "{retry} {jitter:?}"
            );
        }
    }
}

#[test]
fn a_hint_is_the_lower_bound_of_the_delay() {
    let (fixed, none) = (Schedule::fixed(seconds(1.0)), Schedule::none());
    let half = |most: u64| most / 2;
    for (name, schedule, jitter, hint, longest, expected) in [
        ("longer hint", fixed, Jitter::none(), 7.0, 100.0, 7.0),
        ("shorter hint", fixed, Jitter::none(), 0.5, 100.0, 0.5),
        ("shorter hint with jitter", fixed, Jitter::full(), 0.5, 100.0, 0.75),
        ("jitter on top", fixed, Jitter::full(), 8.0, 100.0, 9.0),
        ("without backoff", none, Jitter::full(), 8.0, 100.0, 9.0),
        ("above the maximum", Schedule::exponential(seconds(1.0), 2.0, seconds(2.0)), Jitter::equal(), 8.0, 100.0, 9.0),
        ("decorrelated", Schedule::decorrelated(seconds(1.0), seconds(5.0)), Jitter::full(), 8.0, 100.0, 9.0),
        ("little time", fixed, Jitter::full(), 8.0, 8.5, 8.25),
        ("no time", fixed, Jitter::full(), 8.0, 7.0, 8.0),
    ] {
        let retry = RetryContext { hint: Some(seconds(hint)), ..after(1, Duration::ZERO) };
        assert_eq!(schedule.delay(&retry, jitter, seconds(longest), half), seconds(expected), "{name}");
    }
}

fn any_schedule() -> impl Strategy<Value = (Schedule, Duration)> {
    let duration = || (0..=u64::MAX, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos));
    (duration(), duration(), duration(), 1.0..f64::MAX, 0..5).prop_map(|(one, other, step, factor, kind)| {
        let (base, max) = (one.min(other), one.max(other));
        let schedule = match kind {
            0 => Schedule::exponential(base, factor, max),
            1 => Schedule::linear(base, step, max),
            2 => Schedule::fibonacci(base, max),
            3 => Schedule::decorrelated(base, max),
            _ => return (Schedule::fixed(max), max.saturating_mul(2)),
        };
        (schedule, max)
    })
}

proptest! {
    #[test]
    fn delays_neither_overflow_nor_exceed_the_cap(
        (schedule, max) in any_schedule(),
        retry in 1..=u32::MAX,
        previous in 0..=u64::MAX,
        share in 0.0..=1.0_f64,
        pick in 0..=u64::MAX,
    ) {
        for jitter in
            [Jitter::full(), Jitter::equal(), Jitter::proportional(share), Jitter::symmetric(share), Jitter::none()]
        {
            let delay = schedule.delay(&after(retry, Duration::from_secs(previous)), jitter, Duration::MAX, |most| pick.min(most));
            prop_assert!(delay <= max);
        }
    }
}

#[test]
fn invalid_settings_are_rejected_and_limits_are_accepted() {
    let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
    for factor in [0.999, 0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(Schedule::try_exponential(one, factor, two).is_err(), "{factor}");
    }
    assert!(Schedule::try_exponential(one, 1.0, one).is_ok());
    assert!(Schedule::try_exponential(one, f64::MAX, one).is_ok());
    assert!(Schedule::try_exponential(two, 2.0, one).is_err());
    assert!(Schedule::try_linear(two, one, one).is_err() && Schedule::try_linear(one, one, one).is_ok());
    assert!(Schedule::try_fibonacci(two, one).is_err() && Schedule::try_fibonacci(one, one).is_ok());
    assert!(Schedule::try_decorrelated(two, one).is_err() && Schedule::try_decorrelated(one, one).is_ok());
    for share in [-0.001, 1.001, f64::NAN] {
        assert!(Jitter::try_proportional(share).is_err() && Jitter::try_symmetric(share).is_err(), "{share}");
    }
    assert!(Jitter::try_proportional(0.0).is_ok() && Jitter::try_proportional(1.0).is_ok());
    assert!(Jitter::try_symmetric(0.0).is_ok() && Jitter::try_symmetric(1.0).is_ok());
    assert!(RetryPolicy::new().try_max_retry_after(Duration::ZERO).is_err());
    assert!(RetryPolicy::new().try_max_attempts(0).is_err() && RetryPolicy::new().try_max_attempts(1).is_ok());
}

#[cfg(feature = "tokio")]
#[test]
fn attempts_are_small() {
    let span = if cfg!(feature = "tracing") { size_of::<Option<Box<()>>>() } else { 0 };
    assert_eq!(size_of::<super::attempts::AttemptFuture<'_, '_, ()>>(), 2 * size_of::<usize>() + span);
    assert!(size_of::<Attempts<'_>>() <= 40);
}
