//! Retries that end with a rejection by a breaker, rate limit or bulkhead inside them: events and statistics.

use std::{cell::Cell, error::Error, io, time::Duration};

use steadfast::{
    BulkheadFull, CircuitOpen, RateLimited, RetryBudget, RetryPolicy, Schedule, Transient, breaker, circuit_breaker,
    rate_limit, retries, retry, testing::FakeClock,
};

use crate::Script;

#[derive(Debug, thiserror::Error, Transient)]
enum Failure {
    #[error("not now")]
    #[transient]
    Busy,
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    #[error(transparent)]
    #[permanent]
    Limited(#[from] RateLimited),
    #[error(transparent)]
    #[permanent]
    Full(#[from] BulkheadFull),
    #[error("not there: {0}")]
    NotFound(&'static str),
}

/// A wrapper of the error, as another crate would declare it.
#[derive(Debug, thiserror::Error, Transient)]
#[error("{context}: {source}")]
#[transient(inherit)]
struct Wrapped {
    context: &'static str,
    source: Failure,
}

type Outcome = Result<(), Failure>;

const fn busy() -> Outcome {
    Err(Failure::Busy)
}

// The breaker and the rate limit of each function admit one call, which fails, and reject all others: the breaker opens for longer than
// the delay, and the limit is reached. The test holds the only permit of the bulkhead.

#[retry(name = "rejected: breaker", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "rejects", failure_threshold = 1, recovery_timeout = 60s)]
fn by_breaker() -> Outcome {
    busy()
}

#[retry(name = "rejected: breaker, async", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "rejects, async", failure_threshold = 1, recovery_timeout = 60s)]
async fn by_breaker_async() -> Outcome {
    busy()
}

#[retry(name = "rejected: limit", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[rate_limit(name = "rejects", limit = 1, per = 60s)]
fn by_limit() -> Outcome {
    busy()
}

#[retry(name = "rejected: limit, async", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[rate_limit(name = "rejects, async", limit = 1, per = 60s)]
async fn by_limit_async() -> Outcome {
    busy()
}

#[retry(name = "rejected: bulkhead", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[steadfast::bulkhead(name = "rejects", max_concurrent = 1)]
fn by_bulkhead() -> Outcome {
    busy()
}

#[retry(name = "rejected: bulkhead, async", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[steadfast::bulkhead(name = "rejects", max_concurrent = 1)]
async fn by_bulkhead_async() -> Outcome {
    busy()
}

#[retry(name = "rejected: around", backoff = none)]
fn around(inner: fn() -> Outcome) -> Outcome {
    inner()
}

#[retry(name = "rejected: around, async", backoff = none)]
async fn around_async<F: Future<Output = Outcome>>(inner: impl Fn() -> F) -> Result<(), Wrapped> {
    inner().await.map_err(|source| Wrapped { context: "around", source })
}

/// Returns the new event texts about attempts, without the names of the retries and the errors.
fn new_events(events: &crate::CollectedEvents, from: &Cell<usize>) -> Vec<String> {
    let texts = events.texts();
    let rest = texts[from.replace(texts.len())..].iter().filter_map(|text| text.split("`: ").nth(1));
    let rest = rest.filter_map(|text| text.split(" (").next());
    rest.filter(|text| text.contains("attempt")).map(str::to_owned).collect()
}

/// Returns the number of calls that ended with a rejection, of all calls, and of retries.
fn counted(name: &str) -> (u64, u64, u64) {
    let retry = retries().into_iter().find(|retry| retry.name == name).expect("it is listed");
    (retry.rejected, retry.calls(), retry.retries)
}

const SCHEDULED: &str = "attempt 1 failed; next attempt in 1.000s";
const REJECTED_FIRST: &str = "ended because attempt 1 was rejected";
const REJECTED_SECOND: &str = "ended because attempt 2 was rejected";

#[tokio::test(start_paused = true)]
async fn a_rejected_retry_emits_an_event_and_is_counted() {
    let (clock, events, seen) = (FakeClock::beside_tokio(), crate::collect_events("retry `rejected: "), Cell::new(0));
    let _entered = clock.enter();
    let new_events = || new_events(&events, &seen);

    assert!(matches!(by_breaker(), Err(Failure::Open(_))));
    assert_eq!(new_events(), [REJECTED_SECOND], "there is no sleep, so no retry is scheduled");
    assert!(matches!(by_breaker(), Err(Failure::Open(_))));
    assert_eq!((new_events(), counted("rejected: breaker")), (vec![REJECTED_FIRST.to_owned()], (2, 2, 0)));
    assert!(matches!(by_breaker_async().await, Err(Failure::Open(_))));
    assert_eq!(new_events(), [REJECTED_SECOND]);
    assert!(matches!(by_breaker_async().await, Err(Failure::Open(_))));
    assert_eq!((new_events(), counted("rejected: breaker, async")), (vec![REJECTED_FIRST.to_owned()], (2, 2, 0)));
    assert_eq!(clock.elapsed(), Duration::ZERO);

    assert!(matches!(by_limit(), Err(Failure::Limited(_))));
    assert_eq!(new_events(), [SCHEDULED, REJECTED_SECOND]);
    assert!(matches!(by_limit(), Err(Failure::Limited(_))));
    assert_eq!((new_events(), counted("rejected: limit")), (vec![REJECTED_FIRST.to_owned()], (2, 2, 1)));
    assert!(matches!(by_limit_async().await, Err(Failure::Limited(_))));
    assert_eq!(new_events(), [SCHEDULED, REJECTED_SECOND]);
    assert!(matches!(by_limit_async().await, Err(Failure::Limited(_))));
    assert_eq!((new_events(), counted("rejected: limit, async")), (vec![REJECTED_FIRST.to_owned()], (2, 2, 1)));

    let permit = steadfast::bulkhead("rejects").unwrap().try_acquire().unwrap();
    assert!(matches!(by_bulkhead(), Err(Failure::Full(_))));
    assert_eq!((new_events(), counted("rejected: bulkhead")), (vec![REJECTED_FIRST.to_owned()], (1, 1, 0)));
    assert!(matches!(by_bulkhead_async().await, Err(Failure::Full(_))));
    assert_eq!((new_events(), counted("rejected: bulkhead, async")), (vec![REJECTED_FIRST.to_owned()], (1, 1, 0)));

    // All of these policies reject every call by now.
    for inner in [by_breaker, by_limit, by_bulkhead] {
        around(inner).unwrap_err();
        assert_eq!(new_events(), [REJECTED_FIRST; 2], "the inner retry, then the outer one");
    }
    assert_eq!(counted("rejected: around"), (3, 3, 0));
    around_async(by_breaker_async).await.unwrap_err();
    around_async(by_limit_async).await.unwrap_err();
    around_async(by_bulkhead_async).await.unwrap_err();
    assert_eq!((new_events(), counted("rejected: around, async")), (vec![REJECTED_FIRST.to_owned(); 6], (3, 3, 0)));
    drop(permit);
    around(|| Err(Failure::NotFound("not a rejection"))).unwrap_err();
    assert_eq!((new_events().len(), counted("rejected: around")), (0, (3, 4, 0)));
}

#[circuit_breaker(name = "rejects every call", failure_threshold = 1, recovery_timeout = 60s)]
fn open_circuit() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(name = "rejected by chain: type", backoff = none)]
fn by_error_type() -> io::Result<()> {
    open_circuit()
}

#[retry(name = "rejected by chain: boxed", backoff = none)]
async fn boxed() -> Result<(), Box<dyn Error>> {
    Ok(open_circuit()?)
}

#[retry(name = "rejected by chain: anyhow", backoff = none)]
fn anyhow_error() -> anyhow::Result<()> {
    Ok(open_circuit()?)
}

#[retry(name = "rejected by chain: any", backoff = none, retry_if = any)]
fn any() -> io::Result<()> {
    open_circuit()
}

#[retry(name = "rejected by chain: predicate", backoff = none, retry_if = |_| false)]
async fn predicate() -> io::Result<()> {
    open_circuit()
}

#[retry(name = "rejected by chain: listed", backoff = none, retry_if(std::fmt::Error))]
fn listed() -> io::Result<()> {
    open_circuit()
}

#[tokio::test]
async fn a_rejection_deeper_inside_is_found_in_the_chain_under_any_condition() {
    let (events, seen) = (crate::collect_events("retry `rejected by chain: "), Cell::new(0));
    open_circuit().unwrap_err();
    by_error_type().unwrap_err();
    boxed().await.unwrap_err();
    anyhow_error().unwrap_err();
    any().unwrap_err();
    predicate().await.unwrap_err();
    listed().unwrap_err();
    assert_eq!(new_events(&events, &seen), [REJECTED_FIRST; 6]);
    let ended = retries().into_iter().filter(|retry| retry.name.starts_with("rejected by chain"));
    assert!(ended.map(|retry| (retry.rejected, retry.failures())).eq([(1, 1); 6]));
    // A policy without an attribute has no statistics.
    let policy = RetryPolicy::new().name("rejected by chain: policy").backoff(Schedule::none());
    policy.run(open_circuit).unwrap_err();
    policy.run_async(async || open_circuit()).await.unwrap_err();
    assert_eq!(new_events(&events, &seen), [REJECTED_FIRST; 2]);
}

#[retry(name = "rejected value", backoff = none, retry_if_result = |outcome| matches!(outcome, Ok(false)))]
#[rate_limit(name = "rejects values", limit = 2, per = 60s)]
async fn poll() -> Result<bool, Failure> {
    Ok(false)
}

#[tokio::test(start_paused = true)]
async fn a_rejection_ends_a_retry_with_a_condition_on_the_value() {
    assert!(matches!(poll().await, Err(Failure::Limited(_))));
    assert!(matches!(poll().await, Err(Failure::Limited(_))));
    assert_eq!(counted("rejected value"), (2, 2, 2));
}

/// An error without sources.
#[derive(Debug)]
struct Opaque;

impl From<RateLimited> for Opaque {
    fn from(_: RateLimited) -> Self {
        Self
    }
}

#[retry(name = "rejected, opaque", backoff = none, retry_if = |Opaque| false)]
#[rate_limit(name = "rejects, opaque", limit = 1, per = 60s)]
fn opaque_error() -> Result<(), Opaque> {
    Ok(())
}

#[retry(name = "rejected deeper inside", backoff = none, retry_if(std::fmt::Error))]
async fn around_a_limit() -> Result<(), Box<dyn Error>> {
    Ok(by_a_limit()?)
}

#[rate_limit(name = "rejects inside", limit = 1, per = 60s)]
fn by_a_limit() -> io::Result<()> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_a_limit_is_recognised_in_the_stack_or_in_the_chain() {
    opaque_error().unwrap();
    opaque_error().unwrap_err();
    assert_eq!(counted("rejected, opaque"), (1, 2, 0));
    around_a_limit().await.unwrap();
    around_a_limit().await.unwrap_err();
    assert_eq!(counted("rejected deeper inside"), (1, 2, 0));
}

#[derive(Debug, thiserror::Error, Transient)]
#[error(transparent)]
#[transient(inherit)]
struct Limited(#[from] RateLimited);

#[retry(name = "rejected and retried", jitter = none)]
#[rate_limit(name = "rejects and is waited for", limit = 1, per = 60s)]
async fn waits() -> Result<(), Limited> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_transient_rejection_is_retried() {
    let start = tokio::time::Instant::now();
    waits().await.unwrap();
    waits().await.unwrap();
    assert_eq!((counted("rejected and retried"), start.elapsed().as_secs()), ((0, 2, 1), 60));
}

static EMPTY_BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

#[retry(name = "unslept: no sleep", backoff = fixed(10s), jitter = none, budget = EMPTY_BUDGET, on_retry = |_, _, _| panic!("no retry is scheduled"))]
#[circuit_breaker(name = "rejects without a sleep", failure_threshold = 1, recovery_timeout = 11s)]
async fn no_sleep(script: &Script) -> Result<u32, crate::Failure> {
    script.call()
}

#[retry(name = "unslept: a sleep", backoff = fixed(10s), jitter = none, on_retry = |attempt, delay, _| {
    assert_eq!((attempt, delay.as_secs()), (1, 10));
})]
#[circuit_breaker(name = "rejects for the sleep", failure_threshold = 1, recovery_timeout = 10s)]
fn a_sleep(script: &Script) -> Result<u32, crate::Failure> {
    script.call()
}

#[tokio::test(start_paused = true)]
async fn a_rejected_retry_without_a_sleep_emits_no_retry_event_and_is_neither_counted_nor_withdrawn() {
    let (clock, events, seen) = (FakeClock::beside_tokio(), crate::collect_events("retry `unslept: "), Cell::new(0));
    let _entered = clock.enter();
    let new_events = |part| {
        let texts = events.texts();
        texts[seen.replace(texts.len())..].iter().filter(|text| text.contains(part)).count()
    };
    assert!(matches!(no_sleep(&Script::new("T")).await, Err(crate::Failure::Open(_))));
    assert_eq!(
        (new_events("no sleep`: ended because attempt 2 was rejected"), counted("unslept: no sleep")),
        (1, (1, 1, 0))
    );
    assert_eq!((EMPTY_BUDGET.denied(), breaker("rejects without a sleep").unwrap().snapshot().rejections), (0, 1));
    assert_eq!(a_sleep(&Script::new("TS")).unwrap(), 2);
    assert_eq!(
        (new_events("a sleep`: attempt 1 failed; next attempt in 10.000s"), counted("unslept: a sleep")),
        (1, (0, 1, 1))
    );
    assert_eq!(clock.slept().len(), 1);
}
