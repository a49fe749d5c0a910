//! retry-if: an attribute; reads the clock for each call.

#![expect(unexpected_cfgs, reason = "the attribute tests a feature of the crate in which it is used")]

use std::time::Duration;

use retry_if::{ExponentialBackoffConfig, retry};

use crate::work::{Error, add, wait};

/// The settings.
pub const SETTINGS: &str = "max_retries 2, t_wait 100 ms, backoff 2.0, backoff_max 30 s; it has no jitter";

const EXPONENTIAL: ExponentialBackoffConfig = ExponentialBackoffConfig {
    max_retries: 2,
    t_wait: Duration::from_millis(100),
    backoff: 2.0,
    t_wait_max: None,
    backoff_max: Some(Duration::from_secs(30)),
};

fn is_transient(result: &Result<u64, Error>) -> bool {
    *result == Err(Error::Failed)
}

#[retry(EXPONENTIAL, is_transient)]
async fn retried(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A retried call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retry_async(number: u64) -> Result<u64, Error> {
    wait(retried(number))
}

/// Returns the future of a retried call.
pub fn future(number: u64) -> impl Future<Output = Result<u64, Error>> {
    retried(number)
}
