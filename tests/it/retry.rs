//! Retries: number of attempts, delays, conditions, and the returned result.

use std::{cell::Cell, error::Error, io, time::Duration};

use steadfast::{CircuitOpen, Jitter, RetryPolicy, Schedule, Transient, retry};
use tokio::time::{Instant, advance};

use crate::{Failure, Script};

const MS: Duration = Duration::from_millis(1);

#[retry(max_attempts = 4, backoff = none)]
fn sync(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(max_attempts = 4, backoff = none)]
async fn in_task(script: &Script) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    script.call()
}

#[tokio::test]
async fn a_retry_ends_with_a_success_a_permanent_error_or_the_last_attempt() {
    static POLICY: RetryPolicy = RetryPolicy::new().max_attempts(4).backoff(Schedule::none());
    for (outcomes, calls, result) in [
        ("S", 1, Ok(1)),
        ("TS", 2, Ok(2)),
        ("TTTS", 4, Ok(4)),
        ("TTTTS", 4, Err(Failure::Transient(4))),
        ("P", 1, Err(Failure::Permanent)),
        ("TTP", 3, Err(Failure::Permanent)),
    ] {
        let scripts: [Script; 4] = std::array::from_fn(|_| Script::new(outcomes));
        assert_eq!(sync(&scripts[0]), result, "sync {outcomes}");
        assert_eq!(in_task(&scripts[1]).await, result, "async {outcomes}");
        assert_eq!(POLICY.run(|| scripts[2].call()), result, "run {outcomes}");
        assert_eq!(POLICY.run_async(async || scripts[3].call()).await, result, "run_async {outcomes}");
        for script in scripts {
            assert_eq!(script.calls(), calls, "{outcomes}");
        }
    }
}

#[retry(max_attempts = 1)]
async fn once(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(backoff = none)]
fn with_defaults(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[tokio::test]
async fn max_attempts_of_one_makes_one_attempt_and_the_default_makes_three() {
    let script = Script::new("T");
    assert_eq!(once(&script).await, Err(Failure::Transient(1)));
    let script = Script::new("T");
    assert_eq!(with_defaults(&script), Err(Failure::Transient(3)));
}

#[retry(max_attempts = 6, backoff = exponential(base = 1s, factor = 2, max = 5s), jitter = none)]
async fn record_times(script: &Script, times: &mut Vec<Instant>) -> Result<u32, Failure> {
    times.push(Instant::now());
    script.call()
}

#[tokio::test(start_paused = true)]
async fn sleeps_follow_the_schedule() {
    let mut times = Vec::new();
    assert!(record_times(&Script::new("T"), &mut times).await.is_err());
    let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(gaps, [1, 2, 4, 5, 5]);
}

#[retry(max_attempts = 2, backoff = fixed(10s), jitter = full)]
async fn jittered(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[tokio::test(start_paused = true)]
async fn jitter_varies_the_delays() {
    let mut waits = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        assert!(jittered(&Script::new("T")).await.is_err());
        assert!(start.elapsed() <= Duration::from_secs(10) + MS);
        waits.push(start.elapsed());
    }
    waits.dedup();
    assert!(waits.len() > 10, "{waits:?}");
}

#[retry(max_attempts = unlimited, backoff = fixed(10ms), jitter = none, max_elapsed = 35ms)]
async fn within_max_elapsed(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(max_attempts = 10, backoff = fixed(10ms), jitter = none, max_elapsed = 30ms)]
async fn until_max_elapsed(script: &Script) -> Result<u32, Failure> {
    script.call()
}

#[retry(max_attempts = 10, backoff = fixed(10ms), jitter = none, max_elapsed = 99ms)]
async fn slow_attempts(script: &Script) -> Result<u32, Failure> {
    tokio::time::sleep(40 * MS).await;
    script.call()
}

#[tokio::test(start_paused = true)]
async fn no_sleep_begins_that_would_end_after_max_elapsed() {
    let (script, start) = (Script::new("T"), Instant::now());
    assert_eq!(within_max_elapsed(&script).await, Err(Failure::Transient(4)));
    assert_eq!(start.elapsed(), 30 * MS, "the last error is returned at once");

    let script = Script::new("T");
    assert!(until_max_elapsed(&script).await.is_err());
    assert_eq!(script.calls(), 4, "a sleep that ends exactly at max_elapsed is allowed");

    let (script, start) = (Script::new("T"), Instant::now());
    assert!(slow_attempts(&script).await.is_err());
    assert_eq!(script.calls(), 2, "attempts take time as well: 40 + 10 + 40 ms, and another sleep would end at 100 ms");
    assert!(start.elapsed() <= 91 * MS);
}

#[derive(Debug, thiserror::Error, Transient)]
#[error("busy")]
#[transient(retry_after = 0)]
struct Hint(Duration);

#[retry(max_attempts = 2, backoff = fixed(1s), jitter = none, max_elapsed = 10s)]
async fn hinted(wait: Duration, calls: &Cell<u32>) -> Result<(), Hint> {
    calls.set(calls.get() + 1);
    Err(Hint(wait))
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_the_lower_bound_of_the_delay_within_max_elapsed() {
    for (hint, calls, slept) in [
        (Duration::from_secs(7), 2, Duration::from_secs(7)),
        (Duration::from_millis(3), 2, 3 * MS),
        (Duration::ZERO, 2, Duration::from_secs(1)),
        (Duration::from_secs(11), 1, Duration::ZERO),
        (Duration::MAX, 1, Duration::ZERO),
    ] {
        let (counter, start) = (Cell::new(0), Instant::now());
        assert_eq!(hinted(hint, &counter).await.unwrap_err().0, hint);
        assert_eq!(counter.get(), calls, "{hint:?}");
        assert_eq!(start.elapsed(), slept, "{hint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_makes_no_further_attempt() {
    let script = Script::new("T");
    let mut times = Vec::new();
    {
        let call = record_times(&script, &mut times);
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            _ = &mut call => panic!("the call ended early"),
            () = tokio::time::sleep(500 * MS) => {}
        }
    }
    advance(Duration::from_secs(100)).await;
    assert_eq!(script.calls(), 1);
}

#[derive(Debug, thiserror::Error)]
#[error("reading")]
struct Reading(#[source] io::Error);

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

fn count(calls: &Cell<u32>) {
    calls.set(calls.get() + 1);
}

#[retry(backoff = none, retry_if(io::Error))]
fn by_own_type(calls: &Cell<u32>) -> io::Result<()> {
    count(calls);
    Err(io::ErrorKind::NotFound.into())
}

#[retry(backoff = none, retry_if(std::fmt::Error, io::Error))]
fn by_type_in_chain(calls: &Cell<u32>) -> Result<(), Reading> {
    count(calls);
    Err(Reading(timed_out()))
}

#[retry(backoff = none, retry_if(std::fmt::Error))]
fn by_another_type(calls: &Cell<u32>) -> Result<(), Reading> {
    count(calls);
    Err(Reading(timed_out()))
}

#[retry(backoff = none, retry_if(io::Error))]
async fn by_type_in_anyhow(calls: &Cell<u32>) -> anyhow::Result<()> {
    count(calls);
    Err(anyhow::Error::new(Reading(timed_out())).context("while starting"))
}

#[retry(backoff = none, retry_if(io::Error))]
fn by_type_in_box(calls: &Cell<u32>) -> Result<(), Box<dyn Error + Send + Sync>> {
    count(calls);
    Err(Reading(timed_out()))?
}

#[retry(backoff = none, retry_if(Reading))]
fn by_type_in_local_box(calls: &Cell<u32>) -> Result<(), Box<dyn Error>> {
    count(calls);
    Err(Reading(timed_out()))?
}

#[retry(backoff = none, retry_if(E))]
fn by_generic_type<E: Error + 'static>(calls: &Cell<u32>, error: impl Fn() -> E) -> Result<(), E> {
    count(calls);
    Err(error())
}

#[allow(clippy::ptr_arg, reason = "the error type is a `String`")]
fn is_short(text: &String) -> bool {
    text.len() < 5
}

#[retry(backoff = none, retry_if = is_short)]
fn by_path(calls: &Cell<u32>, text: &str) -> Result<(), String> {
    count(calls);
    Err(text.to_owned())
}

#[retry(backoff = none, retry_if = |error| error.len() == limit)]
async fn by_closure_over_an_argument(calls: &Cell<u32>, text: &str, limit: usize) -> Result<(), String> {
    count(calls);
    Err(text.to_owned())
}

#[retry(backoff = none, retry_if = any)]
fn by_any(calls: &Cell<u32>) -> Result<(), &'static str> {
    count(calls);
    Err("whatever")
}

#[retry(backoff = none)]
fn by_none(calls: &Cell<u32>) -> Option<u32> {
    count(calls);
    (calls.get() == 2).then_some(7)
}

#[retry(backoff = none, max_attempts = 10, retry_if_result = |polled| *polled != 5)]
async fn by_value(calls: &Cell<u32>) -> u32 {
    count(calls);
    calls.get()
}

#[retry(backoff = none, max_attempts = 10, retry_if_result = |polled| matches!(polled, Ok(1..4)))]
fn by_value_of_a_result(calls: &Cell<u32>) -> Result<u32, String> {
    count(calls);
    Ok(calls.get())
}

#[tokio::test]
async fn conditions_select_the_results_that_are_retried() {
    type Check = (&'static str, fn(&Cell<u32>), u32);
    let checks: [Check; 11] = [
        ("the type itself", |calls| by_own_type(calls).unwrap_err().discard(()), 3),
        ("in its chain", |calls| by_type_in_chain(calls).unwrap_err().discard(()), 3),
        ("another type", |calls| by_another_type(calls).unwrap_err().discard(()), 1),
        ("in a box", |calls| by_type_in_box(calls).unwrap_err().discard(()), 3),
        ("in a box that is not Send", |calls| by_type_in_local_box(calls).unwrap_err().discard(()), 3),
        ("a generic type", |calls| by_generic_type(calls, timed_out).unwrap_err().discard(()), 3),
        ("a path that returns true", |calls| by_path(calls, "abc").unwrap_err().discard(()), 3),
        ("a path that returns false", |calls| by_path(calls, "abcdef").unwrap_err().discard(()), 1),
        ("any", |calls| by_any(calls).unwrap_err().discard(()), 3),
        ("none", |calls| assert_eq!(by_none(calls), Some(7)), 2),
        ("a value of a result", |calls| assert_eq!(by_value_of_a_result(calls), Ok(4)), 4),
    ];
    for (name, check, expected) in checks {
        let calls = Cell::new(0);
        check(&calls);
        assert_eq!(calls.get(), expected, "{name}");
    }

    let calls = Cell::new(0);
    assert_eq!(by_type_in_anyhow(&calls).await.unwrap_err().to_string(), "while starting");
    assert_eq!(calls.get(), 3);

    let calls = Cell::new(0);
    assert_eq!(by_closure_over_an_argument(&calls, "abc", 3).await, Err("abc".to_owned()));
    assert_eq!(calls.get(), 3);

    let calls = Cell::new(0);
    assert_eq!(by_value(&calls).await, 5);
    assert_eq!(calls.get(), 5);
}

/// A method by which the closures of a table discard an error of any type in their last expression.
trait Discard {
    fn discard(self, _: ());
}

impl<E> Discard for E {
    fn discard(self, (): ()) {}
}

#[derive(Debug, thiserror::Error)]
#[error("inner")]
struct Inner;

#[retry(backoff = none, retry_if(Inner))]
fn by_type_that_an_io_error_carries(calls: &Cell<u32>) -> io::Result<()> {
    count(calls);
    Err(io::Error::other(Inner))
}

#[test]
fn an_error_inside_an_io_error_is_found() {
    let calls = Cell::new(0);
    by_type_that_an_io_error_carries(&calls).unwrap_err();
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn a_policy_runs_in_a_spawned_task() {
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    let calls = tokio::spawn(async {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let call = async |text: &str| -> Result<(), Failure> {
            calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Err(Failure::Transient(text.len().try_into().unwrap()))
        };
        let text = String::from("abc");
        assert_eq!(POLICY.run_async(|| call(&text)).await, Err(Failure::Transient(3)));
        assert_eq!(POLICY.run_async(async || call(&text).await).await, Err(Failure::Transient(3)));
        calls.into_inner()
    });
    assert_eq!(calls.await.unwrap(), 6);
}

#[test]
fn a_policy_retries_by_its_predicate() {
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none()).jitter(Jitter::none());
    let calls = Cell::new(0);
    let result: Result<(), u32> = POLICY.retry_if(|error: &u32| *error < 2).run(|| {
        count(&calls);
        Err(calls.get())
    });
    assert_eq!(result, Err(2));
}

#[test]
fn an_open_circuit_is_not_transient() {
    let open = io::Error::from(rejection());
    assert!(!open.is_transient());
    assert!(!rejection().is_transient());
}

fn rejection() -> CircuitOpen {
    static FORCED: steadfast::CircuitBreaker =
        steadfast::CircuitBreaker::new("forced", steadfast::BreakerConfig::new());
    FORCED.force_open();
    FORCED.try_acquire().expect_err("forced open")
}

#[test]
fn concurrent_calls_have_independent_attempts() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let script = Script::new("TTS");
                    assert_eq!(sync(&script), Ok(3));
                }
            });
        }
    });
}
