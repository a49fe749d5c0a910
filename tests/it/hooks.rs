//! What a retry calls of the user's: a backoff, and a hook before each sleep.

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

/// Keeps what it is asked.
struct Asked(Mutex<Vec<RetryContext>>);

impl Backoff for Asked {
    fn delay(&self, retry: &RetryContext) -> Duration {
        self.0.lock().unwrap().push(*retry);
        retry.hint.unwrap_or(SECOND * retry.attempt * retry.attempt)
    }
}

static ASKED: Asked = Asked(Mutex::new(Vec::new()));

#[retry(max_attempts = 4, backoff = ASKED, jitter = none, retry_if = any)]
async fn asks() -> Result<(), Failure> {
    advance(SECOND / 2).await;
    Err(Failure::Transient(1))
}

#[tokio::test(start_paused = true)]
async fn a_backoff_of_ones_own_sees_the_attempt_the_delay_before_and_the_time() {
    let start = Instant::now();
    asks().await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND * (1 + 4 + 9) + 4 * SECOND / 2);
    let asked = ASKED.0.lock().unwrap();
    let seen: Vec<_> = asked.iter().map(|retry| (retry.attempt, retry.previous, retry.elapsed, retry.hint)).collect();
    let halves = |halves: u32| SECOND * halves / 2;
    assert_eq!(
        seen,
        [(1, None, halves(1), None), (2, Some(SECOND), halves(4), None), (3, Some(4 * SECOND), halves(13), None)]
    );
}

static SQUARES: Asked = Asked(Mutex::new(Vec::new()));

#[test]
fn delays_can_be_looked_at() {
    let seconds = |policy: RetryPolicy| policy.delays().map(|delay| delay.as_secs()).collect::<Vec<_>>();
    let linear = RetryPolicy::new().backoff(Schedule::linear(SECOND, 2 * SECOND, 6 * SECOND));
    assert_eq!(seconds(linear.max_attempts(5)), [1, 3, 5, 6]);
    assert_eq!(seconds(linear.max_attempts(1)), [0; 0]);
    assert_eq!(seconds(linear.max_attempts(4).backoff(Schedule::custom(&SQUARES))), [1, 4, 9]);
    assert_eq!(linear.unlimited(SECOND).delays().nth(1_000_000), Some(6 * SECOND));
}

thread_local! {
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn hear<E: std::fmt::Debug>(attempt: u32, delay: Duration, error: &E) {
    HEARD.with_borrow_mut(|heard| heard.push(format!("{attempt} {delay:?} {error:?}")));
}

#[retry(backoff = linear(base = 1s, step = 1s), jitter = none, on_retry = hear)]
async fn by_function(works_at: u32, calls: &mut u32) -> Result<u32, Failure> {
    *calls += 1;
    if *calls < works_at { Err(Failure::Transient(*calls)) } else { Ok(*calls) }
}

#[retry(backoff = none, on_retry = |attempt, _, error| hear(attempt, SECOND, &error.kind()))]
fn by_closure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(max_attempts = 2, backoff = none, retry_if_result = |value| *value < 5, on_retry = hear)]
fn by_value() -> u32 {
    3
}

#[retry(max_attempts = 2, backoff = none, on_retry = hear)]
fn of_option() -> Option<u32> {
    None
}

#[retry(max_attempts = 3, backoff = fixed(60s), jitter = none, on_retry = hear)]
#[circuit_breaker(name = "heard", failure_threshold = 1)]
async fn through_a_breaker() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

fn heard() -> Vec<String> {
    HEARD.take()
}

#[tokio::test(start_paused = true)]
async fn a_hook_hears_of_each_retry_before_the_sleep() {
    let start = Instant::now();
    assert_eq!(by_function(3, &mut 0).await.unwrap(), 3);
    assert_eq!(heard(), ["1 1s Transient(1)", "2 2s Transient(2)"]);
    assert_eq!(start.elapsed(), 3 * SECOND);
    by_function(9, &mut 0).await.unwrap_err();
    assert_eq!(heard().len(), 2, "not of the last failure");
    by_function(1, &mut 0).await.unwrap();
    assert_eq!(heard().len(), 0);
    by_closure().unwrap_err();
    assert_eq!(heard(), ["1 1s TimedOut", "2 1s TimedOut"]);
    by_value();
    assert_eq!(heard(), ["1 0ns 3"]);
    assert_eq!(of_option(), None);
    assert_eq!(heard(), ["1 0ns NoneError"]);
    through_a_breaker().await.unwrap_err();
    assert_eq!(heard(), ["1 60s Kind(TimedOut)", "2 60s Kind(TimedOut)"], "open for 30 s only: it is worth the wait");
}

#[retry(backoff = fixed(1s), jitter = none)]
async fn told_of(failures: u32, calls: &mut u32) -> Result<(), Failure> {
    *calls += 1;
    if *calls <= failures { Err(Failure::Transient(*calls)) } else { Ok(()) }
}

static NOTHING: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

#[retry(name = "told by name", budget = NOTHING)]
fn told_by_name() -> Option<()> {
    None
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_retries() {
    let log = crate::heard("told");
    let (log, known) = (&log, Cell::new(0));
    let heard = || {
        let texts: Vec<_> = log.texts().iter().map(|text| text.replace("it::hooks::", "")).collect();
        texts[known.replace(texts.len())..].to_vec()
    };
    told_of(0, &mut 0).await.unwrap();
    assert_eq!(heard().len(), 0, "a success is no news");
    told_of(2, &mut 0).await.unwrap();
    assert_eq!(
        heard(),
        [
            "retry `told_of`: attempt 1 failed, the next in 1.000s",
            "retry `told_of`: attempt 2 failed, the next in 1.000s",
            "retry `told_of`: attempt 3 succeeded",
        ]
    );
    told_of(9, &mut 0).await.unwrap_err();
    assert_eq!(heard()[2..], ["retry `told_of`: given up after attempt 3"]);
    assert!(told_by_name().is_none());
    assert_eq!(heard(), ["retry `told by name`: denied by the budget after attempt 1"]);

    let policy = RetryPolicy::new().name("told in time").max_elapsed(SECOND).backoff(Schedule::fixed(2 * SECOND));
    policy.jitter(steadfast::Jitter::none()).run(|| Err::<(), _>(Failure::Transient(1))).unwrap_err();
    assert_eq!(heard(), ["retry `told in time`: given up after attempt 1"]);
    let mut calls = 0;
    let twice = || {
        calls += 1;
        if calls < 2 { Err(Failure::Transient(1)) } else { Ok(()) }
    };
    policy.backoff(Schedule::none()).run(twice).unwrap();
    assert_eq!(heard()[1], "retry `told in time`: attempt 2 succeeded");
}

#[retry(max_attempts = 9, backoff = none, retry_if = |_, attempt| attempt < 4)]
fn at_most_by_predicate(calls: &Cell<u32>) -> Result<(), Failure> {
    calls.set(calls.get() + 1);
    Err(Failure::Permanent)
}

#[retry(max_attempts = 9, backoff = none, retry_if_result = |value, attempt| *value > 10 && attempt < 5)]
async fn at_most_by_value(calls: &Cell<u32>) -> u32 {
    calls.set(calls.get() + 1);
    calls.get() + 10
}

#[tokio::test]
async fn a_predicate_may_see_the_number_of_the_attempt() {
    let calls = Cell::new(0);
    assert_eq!(at_most_by_predicate(&calls), Err(Failure::Permanent));
    assert_eq!(calls.take(), 4);
    assert_eq!(at_most_by_value(&calls).await, 15);
}

#[retry(backoff = fixed(1s), jitter = none, on_retry = |attempt, delay, error, elapsed| {
    hear(attempt, delay + elapsed, error);
})]
async fn timed() -> Result<(), Failure> {
    advance(SECOND / 2).await;
    Err(Failure::Transient(1))
}

#[retry(max_attempts = 2, backoff = none, retry_if_result = |_| true, on_retry = |_, _, value, elapsed| {
    hear(0, elapsed, value);
})]
async fn timed_by_value() -> u32 {
    advance(SECOND).await;
    7
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_see_how_long_it_has_taken() {
    timed().await.unwrap_err();
    assert_eq!(heard(), ["1 1.5s Transient(1)", "2 3s Transient(1)"]);
    timed_by_value().await;
    assert_eq!(heard(), ["0 1s 7"]);
}
