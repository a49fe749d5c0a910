//! User code that a retry calls: a custom backoff, predicates, and the hook before each sleep.

use std::{
    cell::{Cell, RefCell},
    io,
    sync::Mutex,
    time::Duration,
};

use steadfast::{Backoff, RetryBudget, RetryContext, RetryPolicy, Schedule, circuit_breaker, retry};
use tokio::time::{Instant, advance};

use crate::Failure;

const SECOND: Duration = Duration::from_secs(1);

/// The attempt, the previous delay, the elapsed time and the hint of a retry.
type Seen = (u32, Option<Duration>, Duration, Option<Duration>);

/// A backoff that records its arguments.
struct RecordingBackoff(Mutex<Vec<Seen>>);

impl Backoff for RecordingBackoff {
    fn delay(&self, retry: &RetryContext<'_>) -> Duration {
        self.0.lock().unwrap().push((retry.attempt, retry.previous, retry.elapsed, retry.hint));
        retry.hint.unwrap_or(SECOND * retry.attempt * retry.attempt)
    }
}

static RECORDED: RecordingBackoff = RecordingBackoff(Mutex::new(Vec::new()));

#[retry(max_attempts = 4, backoff = RECORDED, jitter = none, retry_if = any)]
async fn retried() -> Result<(), Failure> {
    advance(SECOND / 2).await;
    Err(Failure::Transient(1))
}

#[tokio::test(start_paused = true)]
async fn a_custom_backoff_receives_attempt_previous_delay_and_elapsed_time() {
    let start = Instant::now();
    retried().await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND * (1 + 4 + 9) + 4 * SECOND / 2);
    let seen = RECORDED.0.lock().unwrap();
    let halves = |halves: u32| SECOND * halves / 2;
    assert_eq!(
        *seen,
        [(1, None, halves(1), None), (2, Some(SECOND), halves(4), None), (3, Some(4 * SECOND), halves(13), None)]
    );
}

static SQUARES: RecordingBackoff = RecordingBackoff(Mutex::new(Vec::new()));

#[test]
fn a_policy_lists_its_delays() {
    let seconds = |policy: RetryPolicy| policy.delays().map(|delay| delay.as_secs()).collect::<Vec<_>>();
    let linear = RetryPolicy::new().backoff(Schedule::linear(SECOND, 2 * SECOND, 6 * SECOND));
    assert_eq!(seconds(linear.max_attempts(5)), [1, 3, 5, 6]);
    assert_eq!(seconds(linear.max_attempts(1)), [0; 0]);
    assert_eq!(seconds(linear.max_attempts(4).backoff(Schedule::custom(&SQUARES))), [1, 4, 9]);
    assert_eq!(linear.unlimited(SECOND).delays().nth(1_000_000), Some(6 * SECOND));
}

thread_local! {
    static HOOK_CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn record_hook_call<E: std::fmt::Debug>(attempt: u32, delay: Duration, error: &E) {
    HOOK_CALLS.with_borrow_mut(|hook_calls| hook_calls.push(format!("{attempt} {delay:?} {error:?}")));
}

#[retry(backoff = linear(base = 1s, step = 1s), jitter = none, on_retry = record_hook_call)]
async fn by_function(succeeds_at: u32, calls: &mut u32) -> Result<u32, Failure> {
    *calls += 1;
    if *calls < succeeds_at { Err(Failure::Transient(*calls)) } else { Ok(*calls) }
}

#[retry(backoff = none, on_retry = |attempt, _, error| record_hook_call(attempt, SECOND, &error.kind()))]
fn by_closure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(max_attempts = 2, backoff = none, retry_if_result = |value| *value < 5, on_retry = record_hook_call)]
fn by_value() -> u32 {
    3
}

#[retry(max_attempts = 2, backoff = none, on_retry = record_hook_call)]
fn of_option() -> Option<u32> {
    None
}

#[retry(max_attempts = 3, backoff = fixed(60s), jitter = none, on_retry = record_hook_call)]
#[circuit_breaker(name = "hooked", failure_threshold = 1)]
async fn through_a_breaker() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

fn hook_calls() -> Vec<String> {
    HOOK_CALLS.take()
}

#[tokio::test(start_paused = true)]
async fn on_retry_is_called_before_each_sleep() {
    let start = Instant::now();
    assert_eq!(by_function(3, &mut 0).await.unwrap(), 3);
    assert_eq!(hook_calls(), ["1 1s Transient(1)", "2 2s Transient(2)"]);
    assert_eq!(start.elapsed(), 3 * SECOND);
    by_function(9, &mut 0).await.unwrap_err();
    assert_eq!(hook_calls().len(), 2, "no call after the last failure");
    by_function(1, &mut 0).await.unwrap();
    assert_eq!(hook_calls().len(), 0);
    by_closure().unwrap_err();
    assert_eq!(hook_calls(), ["1 1s TimedOut", "2 1s TimedOut"]);
    by_value();
    assert_eq!(hook_calls(), ["1 0ns 3"]);
    assert_eq!(of_option(), None);
    assert_eq!(hook_calls(), ["1 0ns NoneError"]);
    through_a_breaker().await.unwrap_err();
    assert_eq!(
        hook_calls(),
        ["1 60s Kind(TimedOut)", "2 60s Kind(TimedOut)"],
        "the circuit is open for 30 s only, so the retry sleeps"
    );
}

#[retry(backoff = fixed(1s), jitter = none)]
async fn emits_events(failures: u32, calls: &mut u32) -> Result<(), Failure> {
    *calls += 1;
    if *calls <= failures { Err(Failure::Transient(*calls)) } else { Ok(()) }
}

static EMPTY_BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

#[retry(name = "emits events, named", budget = EMPTY_BUDGET)]
fn named() -> Option<()> {
    None
}

#[tokio::test(start_paused = true)]
async fn retries_emit_events() {
    let log = crate::collect_events("emits");
    let (log, seen_before) = (&log, Cell::new(0));
    let new_events = || {
        let texts: Vec<_> = log.texts().iter().map(|text| text.replace("it::retry_hooks::", "")).collect();
        texts[seen_before.replace(texts.len())..].to_vec()
    };
    emits_events(0, &mut 0).await.unwrap();
    assert_eq!(new_events().len(), 0, "a first success emits nothing");
    emits_events(2, &mut 0).await.unwrap();
    assert_eq!(
        new_events(),
        [
            "retry `emits_events`: attempt 1 failed; next attempt in 1.000s (not now, attempt 1)",
            "retry `emits_events`: attempt 2 failed; next attempt in 1.000s (not now, attempt 2)",
            "retry `emits_events`: attempt 3 succeeded",
        ]
    );
    emits_events(9, &mut 0).await.unwrap_err();
    assert_eq!(new_events()[2..], ["retry `emits_events`: exhausted after attempt 3 (not now, attempt 3)"]);
    assert!(named().is_none());
    assert_eq!(new_events(), ["retry `emits events, named`: budget exhausted after attempt 1"]);

    let policy =
        RetryPolicy::new().name("emits events, in time").max_elapsed(SECOND).backoff(Schedule::fixed(2 * SECOND));
    policy.jitter(steadfast::Jitter::none()).run(|| Err::<(), _>(Failure::Transient(1))).unwrap_err();
    assert_eq!(new_events(), ["retry `emits events, in time`: exhausted after attempt 1 (not now, attempt 1)"]);
    let mut calls = 0;
    let twice = || {
        calls += 1;
        if calls < 2 { Err(Failure::Transient(1)) } else { Ok(()) }
    };
    policy.backoff(Schedule::none()).run(twice).unwrap();
    assert_eq!(new_events()[1], "retry `emits events, in time`: attempt 2 succeeded");
}

#[retry(max_attempts = 9, backoff = none, retry_if = |_, attempt| attempt < 4)]
fn limited_by_predicate(calls: &Cell<u32>) -> Result<(), Failure> {
    calls.set(calls.get() + 1);
    Err(Failure::Permanent)
}

#[retry(max_attempts = 9, backoff = none, retry_if_result = |value, attempt| *value > 10 && attempt < 5)]
async fn limited_by_value(calls: &Cell<u32>) -> u32 {
    calls.set(calls.get() + 1);
    calls.get() + 10
}

#[tokio::test]
async fn a_predicate_may_take_the_attempt_number() {
    let calls = Cell::new(0);
    assert_eq!(limited_by_predicate(&calls), Err(Failure::Permanent));
    assert_eq!(calls.take(), 4);
    assert_eq!(limited_by_value(&calls).await, 15);
}

#[retry(backoff = fixed(1s), jitter = none, on_retry = |attempt, delay, error, elapsed| {
    record_hook_call(attempt, delay + elapsed, error);
})]
async fn timed() -> Result<(), Failure> {
    advance(SECOND / 2).await;
    Err(Failure::Transient(1))
}

#[retry(max_attempts = 2, backoff = none, retry_if_result = |_| true, on_retry = |_, _, value, elapsed| {
    record_hook_call(0, elapsed, value);
})]
async fn timed_by_value() -> u32 {
    advance(SECOND).await;
    7
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_take_the_elapsed_time() {
    timed().await.unwrap_err();
    assert_eq!(hook_calls(), ["1 1.5s Transient(1)", "2 3s Transient(1)"]);
    timed_by_value().await;
    assert_eq!(hook_calls(), ["0 1s 7"]);
}
