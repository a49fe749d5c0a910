//! What a retry says that a breaker, a rate limit or a bulkhead inside of it ends.

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
    Limited(#[from] RateLimited),
    #[error(transparent)]
    Full(#[from] BulkheadFull),
    #[error("not there: {0}")]
    NotFound(&'static str),
}

/// What another crate makes of it.
#[derive(Debug, thiserror::Error, Transient)]
#[error("{what}: {source}")]
#[transient(inherit)]
struct Around {
    what: &'static str,
    source: Failure,
}

type Outcome = Result<(), Failure>;

const fn busy() -> Outcome {
    Err(Failure::Busy)
}

// Each refuser lets one call through, which fails, and no other: the breaker opens for longer than the delay, the limit is reached.
// Of the bulkhead somebody else has the one place.

#[retry(name = "refused: breaker", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "refuser", failure_threshold = 1, recovery_timeout = 60s)]
fn by_breaker() -> Outcome {
    busy()
}

#[retry(name = "refused: breaker, async", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[circuit_breaker(name = "refuser, async", failure_threshold = 1, recovery_timeout = 60s)]
async fn by_breaker_async() -> Outcome {
    busy()
}

#[retry(name = "refused: limit", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[rate_limit(name = "refuser", limit = 1, per = 60s)]
fn by_limit() -> Outcome {
    busy()
}

#[retry(name = "refused: limit, async", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[rate_limit(name = "refuser, async", limit = 1, per = 60s)]
async fn by_limit_async() -> Outcome {
    busy()
}

#[retry(name = "refused: bulkhead", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[steadfast::bulkhead(name = "refuser", max_concurrent = 1)]
fn by_bulkhead() -> Outcome {
    busy()
}

#[retry(name = "refused: bulkhead, async", max_attempts = 5, backoff = fixed(1s), jitter = none)]
#[steadfast::bulkhead(name = "refuser", max_concurrent = 1)]
async fn by_bulkhead_async() -> Outcome {
    busy()
}

#[retry(name = "refused: around", backoff = none)]
fn around(inner: fn() -> Outcome) -> Outcome {
    inner()
}

#[retry(name = "refused: around, async", backoff = none)]
async fn around_async<F: Future<Output = Outcome>>(inner: impl Fn() -> F) -> Result<(), Around> {
    inner().await.map_err(|source| Around { what: "around", source })
}

/// What the events say of attempts, without the names of the retries.
fn told(heard: &crate::Heard, from: &Cell<usize>) -> Vec<String> {
    let texts = heard.texts();
    let rest = texts[from.replace(texts.len())..].iter().filter_map(|text| text.split("`: ").nth(1));
    rest.filter(|text| text.contains("attempt")).map(str::to_owned).collect()
}

/// Calls of that retry that ended by a rejection, all its calls, and its attempts beyond the first.
fn counted(name: &str) -> (u64, u64, u64) {
    let retry = retries().into_iter().find(|retry| retry.name == name).expect("it is listed");
    (retry.rejected, retry.calls(), retry.retries)
}

const SCHEDULED: &str = "attempt 1 failed, the next in 1.000s";
const AT_ONCE: &str = "given up, attempt 1 was rejected";
const AFTERWARDS: &str = "given up, attempt 2 was rejected";

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_refused_says_so() {
    let (clock, heard, known) = (FakeClock::beside_tokio(), crate::heard("retry `refused: "), Cell::new(0));
    let _entered = clock.enter();
    let told = || told(&heard, &known);

    assert!(matches!(by_breaker(), Err(Failure::Open(_))));
    assert_eq!(told(), [AFTERWARDS], "no sleep, so none is scheduled");
    assert!(matches!(by_breaker(), Err(Failure::Open(_))));
    assert_eq!((told(), counted("refused: breaker")), (vec![AT_ONCE.to_owned()], (2, 2, 0)));
    assert!(matches!(by_breaker_async().await, Err(Failure::Open(_))));
    assert_eq!(told(), [AFTERWARDS]);
    assert!(matches!(by_breaker_async().await, Err(Failure::Open(_))));
    assert_eq!((told(), counted("refused: breaker, async")), (vec![AT_ONCE.to_owned()], (2, 2, 0)));
    assert_eq!(clock.elapsed(), Duration::ZERO);

    assert!(matches!(by_limit(), Err(Failure::Limited(_))));
    assert_eq!(told(), [SCHEDULED, AFTERWARDS]);
    assert!(matches!(by_limit(), Err(Failure::Limited(_))));
    assert_eq!((told(), counted("refused: limit")), (vec![AT_ONCE.to_owned()], (2, 2, 1)));
    assert!(matches!(by_limit_async().await, Err(Failure::Limited(_))));
    assert_eq!(told(), [SCHEDULED, AFTERWARDS]);
    assert!(matches!(by_limit_async().await, Err(Failure::Limited(_))));
    assert_eq!((told(), counted("refused: limit, async")), (vec![AT_ONCE.to_owned()], (2, 2, 1)));

    let place = steadfast::bulkhead("refuser").unwrap().try_acquire().unwrap();
    assert!(matches!(by_bulkhead(), Err(Failure::Full(_))));
    assert_eq!((told(), counted("refused: bulkhead")), (vec![AT_ONCE.to_owned()], (1, 1, 0)));
    assert!(matches!(by_bulkhead_async().await, Err(Failure::Full(_))));
    assert_eq!((told(), counted("refused: bulkhead, async")), (vec![AT_ONCE.to_owned()], (1, 1, 0)));

    // All refuse by now.
    for inner in [by_breaker, by_limit, by_bulkhead] {
        around(inner).unwrap_err();
        assert_eq!(told(), [AT_ONCE; 2], "the inner one, then the outer");
    }
    assert_eq!(counted("refused: around"), (3, 3, 0));
    around_async(by_breaker_async).await.unwrap_err();
    around_async(by_limit_async).await.unwrap_err();
    around_async(by_bulkhead_async).await.unwrap_err();
    assert_eq!((told(), counted("refused: around, async")), (vec![AT_ONCE.to_owned(); 6], (3, 3, 0)));
    drop(place);
    around(|| Err(Failure::NotFound("a name is no rejection"))).unwrap_err();
    assert_eq!((told().len(), counted("refused: around")), (0, (3, 4, 0)));
}

#[circuit_breaker(name = "refuser of any", failure_threshold = 1, recovery_timeout = 60s)]
fn shut() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[retry(name = "refused by chain: type", backoff = none)]
fn by_its_type() -> io::Result<()> {
    shut()
}

#[retry(name = "refused by chain: boxed", backoff = none)]
async fn boxed() -> Result<(), Box<dyn Error>> {
    Ok(shut()?)
}

#[retry(name = "refused by chain: anyhow", backoff = none)]
fn any_way() -> anyhow::Result<()> {
    Ok(shut()?)
}

#[retry(name = "refused by chain: any", backoff = none, retry_if = any)]
fn any() -> io::Result<()> {
    shut()
}

#[retry(name = "refused by chain: predicate", backoff = none, retry_if = |_| false)]
async fn predicate() -> io::Result<()> {
    shut()
}

#[retry(name = "refused by chain: listed", backoff = none, retry_if(std::fmt::Error))]
fn listed() -> io::Result<()> {
    shut()
}

#[tokio::test]
async fn a_rejection_further_inside_is_known_whatever_is_asked() {
    let (heard, known) = (crate::heard("retry `refused by chain: "), Cell::new(0));
    shut().unwrap_err();
    by_its_type().unwrap_err();
    boxed().await.unwrap_err();
    any_way().unwrap_err();
    any().unwrap_err();
    predicate().await.unwrap_err();
    listed().unwrap_err();
    assert_eq!(told(&heard, &known), [AT_ONCE; 6]);
    let ended = retries().into_iter().filter(|retry| retry.name.starts_with("refused by chain"));
    assert!(ended.map(|retry| (retry.rejected, retry.failures())).eq([(1, 1); 6]));
    // Without an attribute there are no counts.
    let policy = RetryPolicy::new().name("refused by chain: policy").backoff(Schedule::none());
    policy.run(shut).unwrap_err();
    policy.run_async(async || shut()).await.unwrap_err();
    assert_eq!(told(&heard, &known), [AT_ONCE; 2]);
}

#[retry(name = "refused value", backoff = none, retry_if_result = |outcome| matches!(outcome, Ok(false)))]
#[rate_limit(name = "refuser of values", limit = 2, per = 60s)]
async fn poll() -> Result<bool, Failure> {
    Ok(false)
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_no_value_to_be_content_with() {
    assert!(matches!(poll().await, Err(Failure::Limited(_))));
    assert!(matches!(poll().await, Err(Failure::Limited(_))));
    assert_eq!(counted("refused value"), (2, 2, 2));
}

/// An error that can't say what it is made of.
#[derive(Debug)]
struct Mute;

impl From<RateLimited> for Mute {
    fn from(_: RateLimited) -> Self {
        Self
    }
}

#[retry(name = "refused in silence", backoff = none, retry_if = |Mute| false)]
#[rate_limit(name = "refuser of the mute", limit = 1, per = 60s)]
fn mute() -> Result<(), Mute> {
    Ok(())
}

#[retry(name = "refused further inside", backoff = none, retry_if(std::fmt::Error))]
async fn around_a_limit() -> Result<(), Box<dyn Error>> {
    Ok(by_a_limit()?)
}

#[rate_limit(name = "refuser inside", limit = 1, per = 60s)]
fn by_a_limit() -> io::Result<()> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_known_by_its_place_or_by_the_chain() {
    mute().unwrap();
    mute().unwrap_err();
    assert_eq!(counted("refused in silence"), (1, 2, 0));
    around_a_limit().await.unwrap();
    around_a_limit().await.unwrap_err();
    assert_eq!(counted("refused further inside"), (1, 2, 0));
}

#[derive(Debug, thiserror::Error, Transient)]
#[error(transparent)]
#[transient(inherit)]
struct Limited(#[from] RateLimited);

#[retry(name = "refused and waits", jitter = none)]
#[rate_limit(name = "refuser that is waited for", limit = 1, per = 60s)]
async fn waits() -> Result<(), Limited> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_transient_ends_nothing() {
    let start = tokio::time::Instant::now();
    waits().await.unwrap();
    waits().await.unwrap();
    assert_eq!((counted("refused and waits"), start.elapsed().as_secs()), ((0, 2, 1), 60));
}

static TIGHT: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

#[retry(name = "unslept: no sleep", backoff = fixed(10s), jitter = none, budget = TIGHT, on_retry = |_, _, _| panic!("none"))]
#[circuit_breaker(name = "refuser without a sleep", failure_threshold = 1, recovery_timeout = 11s)]
async fn no_sleep(script: &Script) -> Result<u32, crate::Failure> {
    script.call()
}

#[retry(name = "unslept: a sleep", backoff = fixed(10s), jitter = none, on_retry = |attempt, delay, _| {
    assert_eq!((attempt, delay.as_secs()), (1, 10));
})]
#[circuit_breaker(name = "refuser for a sleep", failure_threshold = 1, recovery_timeout = 10s)]
fn a_sleep(script: &Script) -> Result<u32, crate::Failure> {
    script.call()
}

#[tokio::test(start_paused = true)]
async fn what_is_not_slept_is_not_told_or_counted_or_paid_for() {
    let (clock, heard, known) = (FakeClock::beside_tokio(), crate::heard("retry `unslept: "), Cell::new(0));
    let _entered = clock.enter();
    let told = |part| {
        let texts = heard.texts();
        texts[known.replace(texts.len())..].iter().filter(|text| text.contains(part)).count()
    };
    assert!(matches!(no_sleep(&Script::new("T")).await, Err(crate::Failure::Open(_))));
    assert_eq!((told("no sleep`: given up, attempt 2 was rejected"), counted("unslept: no sleep")), (1, (1, 1, 0)));
    assert_eq!((TIGHT.denied(), breaker("refuser without a sleep").unwrap().snapshot().rejections), (0, 1));
    assert_eq!(a_sleep(&Script::new("TS")).unwrap(), 2);
    assert_eq!((told("a sleep`: attempt 1 failed, the next in 10.000s"), counted("unslept: a sleep")), (1, (0, 1, 1)));
    assert_eq!(clock.slept().len(), 1);
}
