//! tokio-retry2.

use std::time::Duration;

use tokio_retry2::{
    Retry, RetryError,
    strategy::{ExponentialFactorBackoff, jitter},
};

use crate::work::{Error, add, wait};

/// The settings.
pub const SETTINGS: &str = "ExponentialFactorBackoff from 100 ms by 2, max_delay 30 s, jitter, take(2)";

async fn retried(number: u64) -> Result<u64, Error> {
    let delays = ExponentialFactorBackoff::from_millis(100, 2.0).max_delay(Duration::from_secs(30)).map(jitter).take(2);
    let attempt = || async move {
        add(number).map_err(|error| match error {
            Error::Failed => RetryError::transient(error),
            Error::Rejected => RetryError::permanent(error),
        })
    };
    Retry::spawn(delays, attempt).await
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
