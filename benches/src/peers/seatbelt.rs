//! seatbelt: middleware for the services of `layered`, with a mutex around the state of a circuit.

use std::{future::Future, sync::Arc, time::Duration};

use layered::{Execute, Layer, Service};
use seatbelt::{
    RecoveryInfo, ResilienceContext,
    breaker::{AbandonedPolicy, Breaker, BreakerConfig},
};
use tick::Clock;

use crate::work::Error;

/// The default settings.
pub const SETTINGS: &str = "failure_threshold(0.1), min_throughput(100), sampling_duration(30 s), break_duration(5 s), progressive half-open mode, \
     AbandonedPolicy::rate_threshold(1.0): the defaults";
/// The default settings with a low minimum throughput.
pub const FEW_CALLS: &str = "min_throughput(10), otherwise the defaults";
/// The settings by which every abandoned call is a failure.
pub const AS_FAILURES: &str = "min_throughput(10), AbandonedPolicy::as_failures(), otherwise the defaults";

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
    let layer = Breaker::layer("measured", &ResilienceContext::new(Clock::new_tokio()))
        .recovery_with(|result: &Result<u64, Error>, _| match result {
            Err(Error::Failed) => RecoveryInfo::retry(),
            _ => RecoveryInfo::never(),
        })
        .rejected_input(|_, _| Err(Error::Rejected))
        .config(config);
    let layer = match recovery {
        Some(recovery) => layer.break_duration(recovery),
        None => layer,
    };
    Arc::new(layer.layer(Execute::new(work)))
}
