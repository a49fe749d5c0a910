//! Numbered situations that users of retries in other libraries have met, under a fake clock.

use std::{
    cell::Cell,
    fmt, io, thread,
    time::{Duration, Instant},
};

use steadfast::{
    BreakerConfig, CircuitBreaker, CircuitOpen, Jitter, RetryBudget, RetryPolicy, Schedule, Transient, circuit_breaker,
    retry,
    testing::{FakeClock, Script, seed_jitter},
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const PLAIN: RetryPolicy = RetryPolicy::new().jitter(Jitter::none());

/// An error with a `retry_after` hint.
#[derive(Debug, PartialEq, Transient)]
#[transient(retry_after = after)]
struct Busy {
    after: Option<Duration>,
}

fn busy(after: Option<Duration>) -> Result<(), Busy> {
    Err(Busy { after })
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// Runs a policy on a function that always fails, and returns the number of calls and the sleeps.
fn run(policy: &RetryPolicy, hint: Option<Duration>) -> (u32, Vec<Duration>) {
    let (clock, calls) = (FakeClock::new(), Script::always(move || busy(hint)));
    let _entered = clock.enter();
    policy.run(|| calls.call()).unwrap_err();
    (calls.calls(), clock.slept())
}

#[test]
fn s21_max_attempts_of_one_makes_one_call() {
    assert_eq!(run(&PLAIN.max_attempts(1), None), (1, vec![]));
    assert_eq!(run(&PLAIN.max_attempts(1), Some(seconds(1))), (1, vec![]));
}

#[test]
fn s22_delays_grow_exponentially_up_to_the_maximum() {
    let policy = PLAIN.max_attempts(9).backoff(Schedule::exponential(seconds(1), 2.0, seconds(40)));
    let expected: Vec<_> = [1, 2, 4, 8, 16, 32, 40, 40].map(seconds).into();
    assert_eq!(run(&policy, None), (9, expected.clone()));
    assert_eq!(policy.delays().collect::<Vec<_>>(), expected);
}

/// The Kolmogorov-Smirnov distance between the delays and a uniform distribution over `low..=high`.
fn distance(mut delays: Vec<Duration>, low: Duration, high: Duration) -> f64 {
    delays.sort();
    let count = f64::from(u32::try_from(delays.len()).unwrap());
    let width = (high - low).as_secs_f64();
    let mut greatest: f64 = 0.0;
    for (index, delay) in (0_u32..).zip(delays) {
        assert!((low..=high).contains(&delay), "{delay:?}");
        let (expected, rank) = ((delay - low).as_secs_f64() / width, f64::from(index));
        greatest = greatest.max((expected - rank / count).abs()).max(((rank + 1.0) / count - expected).abs());
    }
    greatest
}

#[test]
fn s23_jitter_is_uniform_and_never_exceeds_the_maximum() {
    let base = seconds(8);
    let _seeded = seed_jitter(23);
    for (jitter, low, high) in [
        (Jitter::full(), seconds(0), base),
        (Jitter::equal(), seconds(4), base),
        (Jitter::proportional(0.25), base, seconds(10)),
        (Jitter::proportional(1.0), base, seconds(16)),
    ] {
        let policy = RetryPolicy::new().max_attempts(10_001).backoff(Schedule::fixed(base)).jitter(jitter);
        let (calls, mut slept) = run(&policy, None);
        assert_eq!(calls, 10_001);
        slept.resize(10_000, Duration::ZERO); // full jitter may yield a delay of zero, which is not slept
        // 1.95 / sqrt(n) is exceeded for one seed in a thousand; this seed is fixed.
        let distance = distance(slept, low, high);
        assert!(distance < 1.95 / 100.0, "{jitter:?}: {distance}");
    }
    // With decorrelated jitter each delay is uniform between the base and three times the previous delay, up to the cap.
    let (base, max) = (seconds(1), seconds(60));
    let policy = RetryPolicy::new().max_attempts(20_001).backoff(Schedule::decorrelated(base, max));
    let slept = run(&policy, None).1;
    let shares = slept.windows(2).map(|pair| {
        let high = (pair[0] * 3).min(max);
        assert!((base..=high).contains(&pair[1]), "{pair:?}");
        Duration::from_secs_f64((pair[1] - base).as_secs_f64() / (high - base).as_secs_f64())
    });
    let distance = distance(shares.collect(), seconds(0), seconds(1));
    assert!(distance < 1.95 / 20_000_f64.sqrt(), "decorrelated: {distance}");
    // The cap holds after jitter.
    let capped = Schedule::exponential(base, 2.0, seconds(4));
    let policy = RetryPolicy::new().max_attempts(1_000).backoff(capped).jitter(Jitter::proportional(1.0));
    assert_eq!(run(&policy, None).1.into_iter().max(), Some(seconds(4)));
}

#[test]
fn s24_no_sleep_begins_that_would_end_after_max_elapsed() {
    let policy = PLAIN.backoff(Schedule::fixed(seconds(10))).unlimited(seconds(35));
    assert_eq!(run(&policy, None), (4, vec![seconds(10); 3]));
    assert_eq!(
        run(&policy.max_elapsed(seconds(40)), None),
        (5, vec![seconds(10); 4]),
        "a sleep that ends exactly at max_elapsed is allowed"
    );
    // The time that attempts take counts as well.
    let (clock, calls) = (FakeClock::new(), Cell::new(0));
    let _entered = clock.enter();
    let slow = || {
        calls.set(calls.get() + 1);
        clock.advance(seconds(12));
        busy(None)
    };
    policy.run(slow).unwrap_err();
    assert_eq!((calls.get(), clock.elapsed()), (2, seconds(34)));
}

#[test]
fn s25_a_permanent_error_ends_the_retry_and_the_last_error_is_returned() {
    let calls = Script::times(1, || Err::<(), _>(timed_out())).then(|| Err(io::Error::other("original error")));
    let error = PLAIN.max_attempts(5).backoff(Schedule::none()).run(|| calls.call()).unwrap_err();
    assert_eq!((calls.calls(), error.to_string().as_str()), (2, "original error"));
}

#[test]
fn s26_a_hint_is_the_lower_bound_of_the_delay_within_max_elapsed() {
    let policy = PLAIN.max_attempts(3).backoff(Schedule::fixed(seconds(1))).max_elapsed(seconds(60));
    for (hint, calls, slept) in [
        (None, 3, vec![seconds(1); 2]),
        (Some(seconds(30)), 3, vec![seconds(30); 2]),
        (Some(seconds(31)), 2, vec![seconds(31)]),
        (Some(seconds(61)), 1, vec![]),
        (Some(Duration::ZERO), 3, vec![seconds(1); 2]),
        (Some(seconds(400 * 365 * 86_400)), 1, vec![]), // centuries
        (Some(Duration::MAX), 1, vec![]),
    ] {
        assert_eq!(run(&policy, hint), (calls, slept), "{hint:?}");
    }
    // With the longest max_retry_after and without max_elapsed, a hint of centuries is slept.
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let calls = Script::times(1, || busy(Some(Duration::MAX))).then(|| Ok(()));
    PLAIN.max_retry_after(Duration::MAX).run(|| calls.call()).unwrap();
    assert_eq!(clock.slept(), [Duration::MAX]);
    // The clock has reached the end of its range and still works.
    assert_eq!(PLAIN.max_elapsed(seconds(1)).run(|| busy(Some(seconds(2)))), busy(Some(seconds(2))));
}

#[retry(max_attempts = 5, backoff = fixed(10s), jitter = none)]
async fn slow(calls: &Script<io::Result<()>>) -> io::Result<()> {
    tokio::time::sleep(seconds(1)).await;
    calls.call()
}

#[tokio::test(start_paused = true)]
async fn s27_a_dropped_future_makes_no_further_attempt() {
    for (limit, made) in [(seconds(0), 0), (seconds(1) / 2, 0), (seconds(5), 1), (seconds(11), 1), (seconds(15), 2)] {
        let calls = Script::always(|| Err(timed_out()));
        tokio::time::timeout(limit, slow(&calls)).await.unwrap_err();
        tokio::time::sleep(seconds(100)).await;
        assert_eq!(calls.calls(), made, "{limit:?}");
    }
    // Concurrent calls have attempts of their own.
    let (one, other) = (Script::always(|| Err(timed_out())), Script::times(4, || Err(timed_out())).then(|| Ok(())));
    let (failed, succeeded) = tokio::join!(slow(&one), slow(&other));
    assert!(failed.is_err() && succeeded.is_ok());
    assert_eq!((one.calls(), other.calls()), (5, 5));
}

#[test]
fn s28_a_budget_limits_the_retries_of_all_calls() {
    static BUDGET: RetryBudget = RetryBudget::new().ratio(0.2).reserve_per_second(10);
    let policy = PLAIN.max_attempts(4).backoff(Schedule::none()).budget(&BUDGET);
    let (clock, calls) = (FakeClock::new(), Script::always(|| busy(None)));
    let _entered = clock.enter();
    for _ in 0..1_000 {
        policy.run(|| calls.call()).unwrap_err();
    }
    // A fifth of the calls, plus ten seconds of the reserve.
    assert_eq!(calls.calls(), 1_000 + 200 + 100);
    assert_eq!((BUDGET.withdrawn(), BUDGET.balance()), (300, 0));
    policy.run(|| calls.call()).unwrap_err();
    assert_eq!(calls.calls(), 1_301, "with an exhausted budget the error is returned at once");
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    #[error("failed")]
    Itself,
}

#[retry(max_attempts = 5, backoff = fixed(1s), jitter = none, retry_if = any)]
#[circuit_breaker(name = "s29 not retried", failure_threshold = 1, recovery_timeout = 30s)]
fn rejection_not_retried(calls: &Script<Result<(), Failed>>) -> Result<(), Failed> {
    calls.call()
}

#[retry(max_attempts = 5, backoff = fixed(1s), jitter = none, retry_if(Failed, CircuitOpen))]
#[circuit_breaker(name = "s29 retried", failure_threshold = 1, recovery_timeout = 30s)]
fn rejection_retried(calls: &Script<Result<(), Failed>>) -> Result<(), Failed> {
    calls.call()
}

#[retry(max_attempts = 5, backoff = fixed(1s), jitter = none, retry_if(Failed, CircuitOpen), max_elapsed = 29s)]
#[circuit_breaker(name = "s29 retried within limit", failure_threshold = 1, recovery_timeout = 30s)]
fn rejection_retried_within_limit(calls: &Script<Result<(), Failed>>) -> Result<(), Failed> {
    calls.call()
}

#[test]
fn s29_a_rejection_is_retried_only_if_listed() {
    let failing = || Script::always(|| Err(Failed::Itself));
    let clock = FakeClock::new();
    let _entered = clock.enter();
    let calls = failing();
    assert!(matches!(rejection_not_retried(&calls), Err(Failed::Open(_))));
    assert_eq!((calls.calls(), clock.elapsed()), (1, seconds(0)), "no sleep either");

    let calls = Script::times(1, || Err(Failed::Itself)).then(|| Ok(()));
    rejection_retried(&calls).unwrap();
    assert_eq!((calls.calls(), clock.elapsed()), (2, seconds(30)), "the breaker's retry_after");

    let calls = failing();
    let error = rejection_retried_within_limit(&calls).unwrap_err();
    assert!(matches!(error, Failed::Open(_)), "{error}");
    assert_eq!((calls.calls(), clock.elapsed()), (1, seconds(30)));
}

#[test]
fn s30_nested_retries_multiply_and_emit_an_event() {
    #[retry(backoff = none)]
    fn inner(calls: &Script<io::Result<()>>) -> io::Result<()> {
        calls.call()
    }

    #[retry(backoff = none)]
    fn outer(calls: &Script<io::Result<()>>) -> io::Result<()> {
        inner(calls)
    }

    let collected = crate::collect_events("retry_situations::");
    let calls = Script::always(|| Err(timed_out()));
    outer(&calls).unwrap_err();
    outer(&calls).unwrap_err();
    assert_eq!(calls.calls(), 2 * 3 * 3);
    let events: Vec<_> = collected.texts().into_iter().filter(|text| text.contains("runs inside")).collect();
    let [event] = events.as_slice() else { panic!("one event: {events:?}") };
    assert!(event.contains("::inner` runs inside retry `") && event.contains("::outer`"), "{event}");
}

#[test]
fn a_fake_clock_does_not_affect_other_threads() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new("fake clock", BreakerConfig::new().failure_threshold(1));
    let clock = FakeClock::new();
    let entered = clock.enter();
    let start = Instant::now();
    thread::spawn(|| {
        assert!(PLAIN.max_attempts(2).backoff(Schedule::fixed(Duration::from_micros(1))).run(|| busy(None)).is_err());
    })
    .join()
    .unwrap();
    assert_eq!(clock.slept(), [], "the other thread slept by the real clock");
    let other = clock.clone();
    thread::spawn(move || {
        let _entered = other.enter();
        PLAIN.max_attempts(2).backoff(Schedule::fixed(seconds(3600))).run(|| busy(None)).unwrap_err();
    })
    .join()
    .unwrap();
    assert_eq!(clock.slept(), [seconds(3600)], "a thread that entered the clock sleeps by it");
    BREAKER.call(|| Err::<(), io::Error>(timed_out())).unwrap_err();
    clock.advance(seconds(30));
    assert!(BREAKER.try_acquire().is_ok(), "breakers use the clock, too");
    drop(entered);
    assert!(start.elapsed() < seconds(60));
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "busy for {:?}", self.after)
    }
}

impl std::error::Error for Busy {}
