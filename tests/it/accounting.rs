//! The counts of a retry, of the breaker below it, of the function and of its callers agree for the same calls, many of which are cancelled.

use std::{
    collections::BTreeMap,
    future::Future,
    panic,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{CircuitOpen, RetrySnapshot, TimedOut, Transient, breaker, circuit_breaker, retries, retry, timeout};
use tokio::time::sleep;

const TASKS: u64 = 600;
const ATTEMPT: Duration = Duration::from_millis(5);

#[derive(Debug, thiserror::Error, Transient)]
enum Error {
    #[error("the call failed")]
    #[transient]
    Busy(#[source] Busy),
    #[error("unknown")]
    Unknown,
    #[error(transparent)]
    #[transient]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

#[derive(Debug, thiserror::Error)]
#[error("busy")]
struct Busy;

/// Numbers of occurrences by name.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Counts {
    fn add(&self, name: &'static str) {
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }

    fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn sum(&self) -> u64 {
        self.0.lock().unwrap().values().sum()
    }
}

/// A call of the function that has begun. Its outcome is counted on drop.
struct Body<'a> {
    bodies: &'a Counts,
    outcome: &'static str,
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.bodies.add(self.outcome);
    }
}

/// The service behind the function. Its answers depend on the seed of the caller and on the number of the call.
#[derive(Clone, Default)]
struct Upstream {
    bodies: Counts,
}

impl Upstream {
    async fn call(&self, seed: u64) -> Result<(), Error> {
        let number = random(seed ^ (self.bodies.sum() << 20));
        let mut body = Body { bodies: &self.bodies, outcome: "cancelled" };
        // One in eight calls is too slow for the timeout.
        sleep(if number.is_multiple_of(8) { 4 * ATTEMPT } else { ATTEMPT }).await;
        let (outcome, result) = match number / 8 % 20 {
            0..10 => ("succeeded", Ok(())),
            10..17 => ("failed", Err(Error::Busy(Busy))),
            17..19 => ("ignored", Err(Error::Unknown)),
            _ => {
                body.outcome = "panicked";
                panic::resume_unwind(Box::new("the call panics"))
            }
        };
        body.outcome = outcome;
        result
    }
}

/// Returns a random number (splitmix64).
fn random(seed: u64) -> u64 {
    let mut number = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 31)
}

/// The time after which a task is aborted: before its first poll, in an attempt, in the sleep after one, or later.
fn abort_after(seed: u64) -> Option<Duration> {
    match random(seed) % 10 {
        0 => Some(Duration::ZERO),
        1 => Some(ATTEMPT / 2),
        2 => Some(3 * ATTEMPT),
        3 => Some(7 * ATTEMPT),
        _ => None,
    }
}

/// Makes many calls, each in a task. Compares the counts of the retry and the breaker, both of which have this name, with those of the
/// function and of the callers.
async fn compare<F>(name: &'static str, call: impl Fn(Upstream, u64) -> F + Copy + Send + 'static) -> RetrySnapshot
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let (upstream, callers) = (Upstream::default(), Counts::default());
    let one = |seed: u64| {
        let (upstream, callers) = (upstream.clone(), callers.clone());
        async move {
            sleep(ATTEMPT * u32::try_from(seed).unwrap()).await;
            let began = Arc::new(Mutex::new(false));
            let task = tokio::spawn({
                let began = began.clone();
                async move {
                    *began.lock().unwrap() = true;
                    call(upstream, seed).await
                }
            });
            if let Some(delay) = abort_after(seed) {
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                task.abort();
            }
            callers.add(match task.await {
                Ok(Ok(())) => "succeeded",
                Ok(Err(Error::Busy(_) | Error::TimedOut(_))) => "transient",
                Ok(Err(Error::Unknown)) => "permanent",
                Ok(Err(Error::Open(_))) => "rejected",
                Err(error) if error.is_panic() => "panicked",
                Err(_) if *began.lock().unwrap() => "aborted",
                Err(_) => "aborted before the first poll",
            });
        }
    };
    futures_util::future::join_all((0..TASKS).map(one)).await;

    let breaker = breaker(name).unwrap().snapshot();
    let retry = retries().into_iter().find(|retry| retry.name == name).unwrap();
    let bodies = &upstream.bodies;
    let seen = format!("{callers:?}, {bodies:?}, {breaker}, {retry}");
    assert!(
        ["succeeded", "transient", "permanent", "rejected", "panicked", "aborted", "aborted before the first poll"]
            .iter()
            .all(|end| callers.get(end) > 5),
        "each end occurs: {seen}"
    );

    // The attempts are the calls of the function, each of which the breaker has admitted.
    assert_eq!(retry.attempts, bodies.sum(), "{seen}");
    assert_eq!(breaker.successes, bodies.get("succeeded"), "{seen}");
    assert_eq!(breaker.failures, bodies.get("failed") + bodies.get("panicked"), "{seen}");
    assert_eq!(breaker.ignored, bodies.get("ignored"), "{seen}");
    assert_eq!(breaker.cancelled, bodies.get("cancelled"), "{seen}");
    assert_eq!(breaker.rejections, retry.rejections, "{seen}");

    // Each call that was polled has exactly one end.
    assert_eq!(callers.sum(), TASKS);
    assert_eq!(retry.calls(), TASKS - callers.get("aborted before the first poll"), "{seen}");
    assert_eq!(retry.first_try_successes + retry.retried_successes, callers.get("succeeded"), "{seen}");
    // If a rejection is retried, the call is exhausted and not rejected.
    assert_eq!(retry.exhausted + retry.rejected, callers.get("transient") + callers.get("rejected"), "{seen}");
    assert_eq!(retry.not_transient, callers.get("permanent"), "{seen}");
    assert_eq!([retry.panicked, retry.cancelled], [callers.get("panicked"), callers.get("aborted")], "{seen}");
    retry
}

#[retry(name = "accounts", max_attempts = 3, backoff = fixed(20ms), jitter = none)]
#[circuit_breaker(name = "accounts", failure_threshold = 4, recovery_timeout = 15ms, failure_if = |error| !matches!(error, Error::Unknown))]
async fn plain(upstream: Upstream, seed: u64) -> Result<(), Error> {
    upstream.call(seed).await
}

#[tokio::test(start_paused = true)]
async fn the_counts_of_retry_breaker_function_and_callers_agree() {
    let retry = compare("accounts", plain).await;
    assert_eq!(retry.rejections, retry.rejected, "a rejection ends a call: {retry}");
    assert!(retry.to_string().ends_with(&format!(", {} attempts rejected", retry.rejections)), "{retry}");
}

#[retry(name = "accounts, retried rejections", max_attempts = 3, backoff = fixed(20ms), jitter = none, retry_if(CircuitOpen, Busy))]
#[circuit_breaker(name = "accounts, retried rejections", failure_threshold = 4, recovery_timeout = 15ms,
                  failure_if = |error| !matches!(error, Error::Unknown))]
async fn retried_rejections(upstream: Upstream, seed: u64) -> Result<(), Error> {
    upstream.call(seed).await
}

#[tokio::test(start_paused = true)]
async fn the_counts_agree_if_rejections_are_retried() {
    let retry = compare("accounts, retried rejections", retried_rejections).await;
    assert!(retry.rejections > retry.rejected, "{retry}");
}

#[retry(name = "accounts, with a timeout", max_attempts = 3, backoff = fixed(20ms), jitter = none)]
#[timeout(15ms, allow_order)]
#[circuit_breaker(name = "accounts, with a timeout", failure_threshold = 4, recovery_timeout = 15ms,
                  failure_if = |error| !matches!(error, Error::Unknown))]
async fn with_timeout(upstream: Upstream, seed: u64) -> Result<(), Error> {
    upstream.call(seed).await
}

#[tokio::test(start_paused = true)]
async fn the_counts_agree_with_a_timeout_between_retry_and_breaker() {
    compare("accounts, with a timeout", with_timeout).await;
}
