//! backon: its builder and its attribute.

use std::{cell::Cell, future::ready, time::Duration};

use backon::{BlockingRetryable, ConstantBuilder, ExponentialBuilder, Retryable};
use backon_macros::backon;

use crate::work::{Error, add, add_at_second_try, wait};

/// The settings.
pub const SETTINGS: &str = "ExponentialBuilder: min_delay 100 ms, factor 2, max_delay 30 s, max_times 2, with_jitter";
/// The settings without a sleep.
pub const NO_SLEEP: &str = "ConstantBuilder: delay 0, max_times 2; a sleeper that is ready at once";

/// The backoff of [`SETTINGS`].
#[must_use]
pub const fn exponential() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_factor(2.0)
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(2)
        .with_jitter()
}

const fn none() -> ConstantBuilder {
    ConstantBuilder::new().with_delay(Duration::ZERO).with_max_times(2)
}

const fn no_sleep(_: Duration) {}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "backon passes a reference")]
fn is_transient(error: &Error) -> bool {
    *error == Error::Failed
}

/// A retried call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retry(number: u64) -> Result<u64, Error> {
    (|| add(number)).retry(exponential()).when(is_transient).call()
}

/// A retried `async` call that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn retry_async(number: u64) -> Result<u64, Error> {
    wait((|| async move { add(number) }).retry(exponential()).when(is_transient))
}

/// A call retried by the attribute that succeeds at its first attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
#[backon(backoff = exponential, when = is_transient)]
pub fn attribute(number: u64) -> Result<u64, Error> {
    add(number)
}

#[backon(backoff = exponential, when = is_transient)]
async fn attribute_async_fn(number: u64) -> Result<u64, Error> {
    add(number)
}

/// A call retried by the attribute that succeeds at its first attempt, `async`.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn attribute_async(number: u64) -> Result<u64, Error> {
    wait(attribute_async_fn(number))
}

/// Returns the future of a call retried by the attribute.
pub fn future(number: u64) -> impl Future<Output = Result<u64, Error>> {
    attribute_async_fn(number)
}

/// A retried call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try(number: u64) -> Result<u64, Error> {
    let tried = Cell::new(false);
    (|| add_at_second_try(number, &tried)).retry(none()).sleep(no_sleep).when(is_transient).call()
}

/// A retried `async` call that succeeds at its second attempt.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn second_try_async(number: u64) -> Result<u64, Error> {
    let tried = Cell::new(false);
    let attempt = || async { add_at_second_try(number, &tried) };
    wait(attempt.retry(none()).sleep(|_| ready(())).when(is_transient))
}
