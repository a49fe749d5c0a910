//! The delay that an error asks for: a lower bound with jitter on top, and a limit.

use std::{io, time::Duration};

use steadfast::{
    Backoff, CircuitOpen, Jitter, RetryContext, RetryPolicy, Schedule, Transient, circuit_breaker, configure_from_toml,
    retry,
    testing::{FakeClock, Script},
};

const SECOND: Duration = Duration::from_secs(1);
const POLICY: RetryPolicy = RetryPolicy::new().max_attempts(2).name("hints: policy");

#[derive(Debug, PartialEq, thiserror::Error, Transient)]
#[error("busy for {after:?}")]
#[transient(retry_after = after)]
struct Busy {
    after: Duration,
}

fn busy(after: Duration) -> Result<(), Busy> {
    Err(Busy { after })
}

/// Runs a policy on a call that always fails with a hint, and returns the sleeps.
fn slept(policy: &RetryPolicy, hint: Duration) -> Vec<Duration> {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    policy.run(|| busy(hint)).unwrap_err();
    clock.slept()
}

#[test]
fn callers_with_the_same_hint_are_spread_and_never_early() {
    for policy in [
        POLICY,
        POLICY.jitter(Jitter::equal()),
        POLICY.jitter(Jitter::symmetric(0.01)),
        POLICY.backoff(Schedule::none()),
        POLICY.backoff(Schedule::decorrelated(SECOND / 10, SECOND)),
    ] {
        let delays: Vec<_> = (0..50).flat_map(|_| slept(&policy, 5 * SECOND)).collect();
        let (first, last) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
        assert!(first >= 5 * SECOND && last <= 25 * SECOND / 4, "{policy}: {first:?} to {last:?}");
        assert!(last - first >= SECOND / 2, "{policy}: {first:?} to {last:?}");
    }
    assert_eq!(slept(&POLICY.jitter(Jitter::none()), 5 * SECOND), [5 * SECOND], "exact without jitter");
}

#[test]
fn a_short_hint_does_not_switch_the_backoff_off() {
    let exact = POLICY.max_attempts(3).backoff(Schedule::fixed(2 * SECOND)).jitter(Jitter::none());
    assert_eq!(slept(&exact, Duration::ZERO), [2 * SECOND; 2], "no hint");
    assert_eq!(slept(&exact, SECOND), [SECOND; 2], "in place of the computed delay");
    for (jitter, hint, least) in [
        (Jitter::equal(), Duration::ZERO, SECOND),
        (Jitter::full(), Duration::from_millis(1), Duration::from_millis(1)),
        (Jitter::symmetric(0.1), SECOND, SECOND),
    ] {
        let delays: Vec<_> = (0..50).flat_map(|_| slept(&exact.jitter(jitter), hint)).collect();
        assert!(delays.iter().all(|delay| (least..=2 * SECOND).contains(delay)), "{jitter}: {delays:?}");
        assert!(delays.iter().any(|delay| *delay > 7 * SECOND / 4), "up to the backoff: {jitter}: {delays:?}");
    }
}

struct Follows;

impl Backoff for Follows {
    fn delay(&self, retry: &RetryContext<'_>) -> Duration {
        retry.hint.unwrap_or(3 * SECOND)
    }
}

#[test]
fn a_custom_backoff_receives_no_hint_of_zero() {
    let policy = POLICY.backoff(Schedule::custom(&Follows)).jitter(Jitter::none());
    assert_eq!(slept(&policy, Duration::ZERO), [3 * SECOND]);
    assert_eq!(slept(&policy, SECOND), [SECOND]);
}

#[test]
fn jitter_on_top_of_a_hint_does_not_exceed_the_time_that_remains() {
    let policy = POLICY.max_elapsed(5 * SECOND + SECOND / 20);
    for _ in 0..50 {
        let delays = slept(&policy, 5 * SECOND);
        assert!(delays.len() == 1 && delays[0] <= 5 * SECOND + SECOND / 20, "{delays:?}");
    }
    assert_eq!(slept(&policy, 6 * SECOND), []);
}

#[retry(name = "hints: default", max_attempts = 2, jitter = none)]
fn by_default(hint: Duration) -> Result<(), Busy> {
    busy(hint)
}

#[retry(name = "hints: limited", max_attempts = 2, jitter = none, max_retry_after = 2s)]
async fn limited(hint: Duration) -> Result<(), Busy> {
    busy(hint)
}

#[retry(max_attempts = 2, jitter = none, max_retry_after = 2s)]
fn limited_unnamed(hint: Duration) -> Result<(), Busy> {
    busy(hint)
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_too_long_ends_the_retry_with_an_event() {
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    let events = crate::collect_events("retry `hints: ");
    let start = tokio::time::Instant::now();
    limited(2 * SECOND).await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(limited(2 * SECOND + Duration::from_nanos(1)).await, busy(2 * SECOND + Duration::from_nanos(1)));
    assert_eq!(start.elapsed(), 2 * SECOND, "no sleep");
    by_default(60 * SECOND).unwrap_err();
    assert_eq!(clock.slept(), [2 * SECOND, 60 * SECOND]);
    by_default(86_400 * SECOND).unwrap_err();
    limited_unnamed(Duration::MAX).unwrap_err();
    POLICY.run(|| busy(61 * SECOND)).unwrap_err();
    assert_eq!(clock.slept(), [2 * SECOND, 60 * SECOND], "no further sleep");
    let texts: Vec<_> = events.texts().into_iter().filter(|text| text.contains("max_retry_after")).collect();
    assert_eq!(
        texts,
        [
            "retry `hints: limited`: exhausted after attempt 1: the error asks for a delay of 2.000s, which is longer than \
             `max_retry_after` (busy for 2.000000001s)",
            "retry `hints: default`: exhausted after attempt 1: the error asks for a delay of 86400.000s, which is longer than \
             `max_retry_after` (busy for 86400s)",
            "retry `hints: policy`: exhausted after attempt 1: the error asks for a delay of 61.000s, which is longer than \
             `max_retry_after` (busy for 61s)",
        ]
    );
    let counted = steadfast::retries().into_iter().find(|retry| retry.name == "hints: default").unwrap();
    assert_eq!((counted.exhausted, counted.retries), (2, 1));
}

#[derive(Debug, thiserror::Error, Transient)]
enum Failed {
    #[error("failed")]
    #[transient]
    Itself,
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

#[retry(max_attempts = 3, backoff = fixed(1s), retry_if(Failed, CircuitOpen))]
#[circuit_breaker(name = "hints: open", failure_threshold = 1, recovery_timeout = 90s)]
fn through_a_breaker(calls: &Script<Result<(), Failed>>) -> Result<(), Failed> {
    calls.call()
}

#[test]
fn the_wait_of_a_breaker_has_no_limit_and_no_jitter() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let calls = Script::times(1, || Err(Failed::Itself)).then(|| Ok(()));
    through_a_breaker(&calls).unwrap();
    assert_eq!((calls.calls(), clock.elapsed()), (2, 90 * SECOND));
}

#[retry(name = "hints_from_a_file", max_attempts = 2, backoff = none)]
fn from_a_file(hint: Duration) -> Result<(), Busy> {
    busy(hint)
}

#[test]
fn settings_from_a_file_set_the_longest_hint() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    configure_from_toml(
        "[retry.hints_from_a_file]\nmax_retry_after = \"2m\"\nbackoff = \"fixed(1s)\"\njitter = \"symmetric(0.2)\"",
    )
    .unwrap();
    from_a_file(90 * SECOND).unwrap_err();
    from_a_file(121 * SECOND).unwrap_err();
    let slept = clock.slept();
    assert!(slept.len() == 1 && slept[0] >= 90 * SECOND, "{slept:?}");
    let error = configure_from_toml("[retry.hints_from_a_file]\nmax_retry_after = \"0s\"").unwrap_err().to_string();
    assert!(error.contains("`0s` is out of range: `max_retry_after` must be longer than 0"), "{error}");
    let error = configure_from_toml("[retry.hints_from_a_file]\njitter = \"symmetric\"").unwrap_err().to_string();
    assert!(error.contains("`symmetric` needs its share: `symmetric(0.2)`"), "{error}");
    configure_from_toml("").unwrap();
}

#[retry(max_attempts = 101, backoff = exponential(base = 10s, factor = 1, max = 10s), jitter = symmetric(0.2))]
fn with_symmetric_jitter() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(max_attempts = 101, backoff = fixed(10s), jitter = symmetric(0.2))]
fn with_symmetric_jitter_and_no_cap() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn symmetric_jitter_lengthens_and_shortens_up_to_the_cap() {
    let clock = FakeClock::new();
    let _entered = clock.enter();
    with_symmetric_jitter().unwrap_err();
    let capped = clock.slept();
    with_symmetric_jitter_and_no_cap().unwrap_err();
    let free = clock.slept().split_off(100);
    assert!(capped.iter().all(|delay| (8 * SECOND..=10 * SECOND).contains(delay)), "{capped:?}");
    assert!(free.iter().all(|delay| (8 * SECOND..=12 * SECOND).contains(delay)), "{free:?}");
    assert!(free.iter().any(|delay| *delay > 11 * SECOND) && free.iter().any(|delay| *delay < 9 * SECOND), "{free:?}");
}
