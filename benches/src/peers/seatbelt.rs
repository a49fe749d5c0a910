//! seatbelt: middleware for the services of `layered`, with a mutex around the state of a circuit.

use std::{
    cell::Cell,
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use layered::{Execute, Layer, Service};
use seatbelt::{
    RecoveryInfo, ResilienceContext,
    breaker::{AbandonedPolicy, Breaker, BreakerConfig},
    fallback::Fallback,
    retry::{Backoff, Retry},
    timeout::Timeout,
};
use tick::Clock;

use crate::work::{Error, add, add_at_second_try, pending_once, wait};

/// The default settings.
pub const SETTINGS: &str = "failure_threshold(0.1), min_throughput(100), sampling_duration(30 s), break_duration(5 s), progressive half-open mode, \
     AbandonedPolicy::rate_threshold(1.0): the defaults";
/// The default settings with a low minimum throughput.
pub const FEW_CALLS: &str = "min_throughput(10), otherwise the defaults";
/// The settings by which every abandoned call is a failure.
pub const AS_FAILURES: &str = "min_throughput(10), AbandonedPolicy::as_failures(), otherwise the defaults";

/// The settings of the time window: [`by_rate`]. It has no other rule.
pub const BY_TIME: &str = "failure_threshold(0.5), min_throughput(10), sampling_duration(60 s), break_duration(1 h); async only; no logs, no metrics";
/// The settings of the retry.
pub const RETRY: &str =
    "max_retry_attempts(2), base_delay 100 ms, exponential, max_delay 30 s, jitter; no logs, no metrics";
/// The settings of the retry without a sleep.
pub const NO_SLEEP: &str = "max_retry_attempts(2), constant, base_delay 0, no jitter; no logs, no metrics";

/// Returns the settings of [`FEW_CALLS`].
#[must_use]
pub fn few_calls() -> BreakerConfig {
    let mut config = BreakerConfig::default();
    config.min_throughput = 10;
    config
}

/// Returns the settings of [`AS_FAILURES`].
#[must_use]
pub fn as_failures() -> BreakerConfig {
    let mut config = few_calls();
    config.abandoned_policy = AbandonedPolicy::as_failures();
    config
}

/// Returns the settings of [`BY_TIME`], with a circuit that opens for `recovery`.
#[must_use]
pub fn by_rate(recovery: Duration) -> BreakerConfig {
    let mut config = BreakerConfig::default();
    config.failure_threshold = 0.5;
    config.min_throughput = 10;
    config.sampling_duration = Duration::from_mins(1);
    config.break_duration = recovery;
    config
}

/// Puts a breaker around `work`. Must be called in a tokio runtime.
#[must_use]
pub fn guard<In, F>(
    config: &BreakerConfig,
    recovery: Option<Duration>,
    work: impl Fn(In) -> F + Send + Sync + 'static,
) -> Arc<impl Service<In, Out = Result<u64, Error>> + 'static>
where
    In: Send + 'static,
    F: Future<Output = Result<u64, Error>> + Send + 'static,
{
    let mut config = config.clone();
    config.break_duration = recovery.unwrap_or(config.break_duration);
    Arc::new(breaker(&config, Execute::new(work)))
}

fn context<In>() -> ResilienceContext<In, Result<u64, Error>> {
    ResilienceContext::new(Clock::new_tokio())
}

const fn recovery(result: &Result<u64, Error>) -> RecoveryInfo {
    match result {
        Err(Error::Failed) => RecoveryInfo::retry(),
        _ => RecoveryInfo::never(),
    }
}

/// Puts a breaker around a service. Must be called in a tokio runtime.
#[must_use]
pub fn breaker<In, S>(config: &BreakerConfig, service: S) -> Breaker<In, Result<u64, Error>, S> {
    let layer = Breaker::layer("measured", &context());
    let layer = layer.recovery_with(|result, _| recovery(result)).rejected_input(|_, _| Err(Error::Rejected));
    layer.config(config).layer(service)
}

type Retried<S> = Retry<u64, Result<u64, Error>, S>;
type Limited<S> = Timeout<u64, Result<u64, Error>, S>;
type Guarded<S> = Breaker<u64, Result<u64, Error>, S>;

fn retried<S>(service: S) -> Retried<S> {
    let layer = Retry::layer("measured", &context()).clone_input().recovery_with(|result, _| recovery(result));
    let layer = layer.max_retry_attempts(2).backoff(Backoff::Exponential).base_delay(Duration::from_millis(100));
    layer.max_delay(Duration::from_secs(30)).layer(service)
}

fn limited<S>(service: S) -> Limited<S> {
    let layer = Timeout::layer("measured", &context()).timeout(Duration::from_secs(10));
    layer.timeout_error(|_| Error::Rejected).layer(service)
}

fn with_fallback<S>(service: S) -> Fallback<u64, Result<u64, Error>, S> {
    let layer = Fallback::layer("measured", &context()).should_fallback(Result::is_err);
    layer.fallback(|_, _| Ok(0)).layer(service)
}

/// The work as a service.
#[derive(Clone, Copy, Debug)]
pub struct Work;

impl Service<u64> for Work {
    type Out = Result<u64, Error>;

    async fn execute(&self, number: u64) -> Result<u64, Error> {
        add(number)
    }
}

/// The work, pending once, as a service.
#[derive(Clone, Copy, Debug)]
struct WorkThatWaits;

impl Service<u64> for WorkThatWaits {
    type Out = Result<u64, Error>;

    async fn execute(&self, number: u64) -> Result<u64, Error> {
        pending_once().await;
        add(number)
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// A call with a time window, closed.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn by_time(number: u64) -> Result<u64, Error> {
    static CLOSED: LazyLock<Guarded<Work>> = LazyLock::new(|| breaker(&by_rate(HOUR), Work));
    wait(CLOSED.execute(number))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, Error> {
    static OPEN: LazyLock<Guarded<Work>> = LazyLock::new(|| breaker(&by_rate(HOUR), Work));
    wait(OPEN.execute(number))
}

static RETRIED: LazyLock<Retried<Work>> = LazyLock::new(|| retried(Work));

/// A retried call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retry_async(number: u64) -> Result<u64, Error> {
    wait(RETRIED.execute(number))
}

/// Returns the future of a retried call. Must be called in a tokio runtime.
pub fn future(number: u64) -> impl Future<Output = Result<u64, Error>> {
    RETRIED.execute(number)
}

/// A retried call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try_async(number: u64) -> Result<u64, Error> {
    type Retried = Retry<(u64, bool), Result<u64, Error>, SecondTry>;
    static TWICE: LazyLock<Retried> = LazyLock::new(|| {
        let layer = Retry::layer("measured", &context()).recovery_with(|result, _| recovery(result));
        let layer = layer.clone_input_with(|(number, _), args| Some((*number, args.attempt().index() > 0)));
        let layer = layer.max_retry_attempts(2).backoff(Backoff::Constant).base_delay(Duration::ZERO);
        layer.use_jitter(false).layer(SecondTry)
    });
    wait(TWICE.execute((number, false)))
}

/// The work as a service, which fails at the first attempt.
#[derive(Clone, Copy, Debug)]
struct SecondTry;

impl Service<(u64, bool)> for SecondTry {
    type Out = Result<u64, Error>;

    async fn execute(&self, (number, tried): (u64, bool)) -> Result<u64, Error> {
        add_at_second_try(number, &Cell::new(tried))
    }
}

/// A call through a retry and a breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn stack_async(number: u64) -> Result<u64, Error> {
    static STACK: LazyLock<Retried<Guarded<Work>>> = LazyLock::new(|| retried(breaker(&by_rate(HOUR), Work)));
    wait(STACK.execute(number))
}

/// A call with a timeout, ready at once.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn timeout(number: u64) -> Result<u64, Error> {
    static LIMITED: LazyLock<Limited<Work>> = LazyLock::new(|| limited(Work));
    wait(LIMITED.execute(number))
}

/// A call with a timeout, pending once.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn timeout_waits(number: u64) -> Result<u64, Error> {
    static LIMITED: LazyLock<Limited<WorkThatWaits>> = LazyLock::new(|| limited(WorkThatWaits));
    wait(LIMITED.execute(number))
}

/// A call with a fallback that is not needed.
///
/// # Errors
///
/// None.
#[inline(never)]
pub fn fallback(number: u64) -> Result<u64, Error> {
    static GUARDED: LazyLock<Fallback<u64, Result<u64, Error>, Work>> = LazyLock::new(|| with_fallback(Work));
    wait(GUARDED.execute(number))
}

/// A call through a fallback, a timeout, a retry, a breaker and a timeout, pending once.
///
/// # Errors
///
/// None.
#[inline(never)]
pub fn full_stack(number: u64) -> Result<u64, Error> {
    type Stack = Limited<Retried<Guarded<Limited<WorkThatWaits>>>>;
    static STACK: LazyLock<Fallback<u64, Result<u64, Error>, Stack>> =
        LazyLock::new(|| with_fallback(limited(retried(breaker(&by_rate(HOUR), limited(WorkThatWaits))))));
    wait(STACK.execute(number))
}
