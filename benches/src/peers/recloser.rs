//! recloser: a ring of the last calls under a spin lock.

use std::{sync::LazyLock, time::Duration};

use backon::Retryable;
use recloser::{AsyncRecloser, Error as Reclosed, Recloser};

use crate::{
    contestant::{IntoOutcome, Outcome},
    work::{Error, add, wait},
};

/// The settings.
pub const SETTINGS: &str = "closed_len 100, error_rate 0.5, half_open_len 3, open_wait 1 h; no totals";

/// Creates a breaker that opens for `wait`.
#[must_use]
pub fn breaker(wait: Duration) -> Recloser {
    Recloser::custom().closed_len(100).error_rate(0.5).half_open_len(3).open_wait(wait).build()
}

static CLOSED: LazyLock<Recloser> = LazyLock::new(|| breaker(Duration::from_hours(1)));
static OPEN: LazyLock<Recloser> = LazyLock::new(|| breaker(Duration::from_hours(1)));
static ASYNC: LazyLock<AsyncRecloser> = LazyLock::new(|| breaker(Duration::from_hours(1)).into());

impl IntoOutcome for Result<u64, Reclosed<Error>> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value),
            Err(Reclosed::Inner(_)) => Outcome::Failed,
            Err(Reclosed::Rejected) => Outcome::Rejected,
        }
    }
}

/// A call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed(number: u64) -> Result<u64, Reclosed<Error>> {
    CLOSED.call(|| add(number))
}

/// An `async` call through a closed breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn closed_async(number: u64) -> Result<u64, Reclosed<Error>> {
    wait(ASYNC.call(async { add(number) }))
}

/// A call to an open breaker.
///
/// # Errors
///
/// The rejection.
#[inline(never)]
pub fn open(number: u64) -> Result<u64, Reclosed<Error>> {
    OPEN.call(|| add(number))
}

/// A call through backon and the breaker.
///
/// # Errors
///
/// Those of the work, or the rejection.
#[inline(never)]
pub fn below_backon(number: u64) -> Result<u64, Reclosed<Error>> {
    static BELOW: LazyLock<AsyncRecloser> = LazyLock::new(|| breaker(Duration::from_hours(1)).into());
    let is_transient = |error: &Reclosed<Error>| matches!(error, Reclosed::Inner(Error::Failed));
    wait((|| BELOW.call(async { add(number) })).retry(super::backon::exponential()).when(is_transient))
}

/// Creates a breaker for concurrent calls at recovery.
#[must_use]
pub fn async_breaker(wait: Duration) -> AsyncRecloser {
    breaker(wait).into()
}
