use std::{fmt, time::Duration};

use crate::by_address::ByAddress;

/// A custom backoff: computes the delay before the next attempt.
///
/// Passed to an attribute by path, `backoff = PATH`, or to a policy by [`Schedule::custom`](crate::Schedule::custom).
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{Backoff, RetryContext, retry};
///
/// /// Uses the server's hint, else 100 ms for the first three retries and 10 s for the others.
/// struct Patient;
///
/// impl Backoff for Patient {
///     fn delay(&self, retry: &RetryContext) -> Duration {
///         match (retry.hint, retry.attempt) {
///             (Some(hint), _) => hint,
///             (None, 1..=3) => Duration::from_millis(100),
///             _ => Duration::from_secs(10),
///         }
///     }
/// }
///
/// #[retry(max_attempts = 10, backoff = Patient, jitter = none)]
/// fn read() -> io::Result<u8> {
///     Ok(1)
/// }
/// # assert_eq!(read().unwrap(), 1);
/// ```
///
/// The policy's jitter (full by default) is applied to the returned delay, except after an error with a hint. `max_elapsed` and the
/// budget apply as usual. A panic propagates to the caller.
pub trait Backoff: Send + Sync + 'static {
    /// Returns the delay before the next attempt.
    fn delay(&self, retry: &RetryContext) -> Duration;
}

/// The state of a call whose next attempt is about to be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryContext {
    /// The number of the attempt that has failed; the first is 1.
    pub attempt: u32,
    /// The delay before that attempt; `None` for the first attempt.
    pub previous: Option<Duration>,
    /// The time since the first attempt began.
    pub elapsed: Duration,
    /// The delay that the error asks for: [`Transient::retry_after`](crate::Transient::retry_after), or the `retry_after` of a breaker
    /// that rejected the attempt.
    pub hint: Option<Duration>,
}

impl fmt::Debug for ByAddress<dyn Backoff> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Backoff")
    }
}
