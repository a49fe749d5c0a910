use std::{error::Error, fmt, time::Duration};

use crate::by_address::ByAddress;

/// A custom backoff: computes the delay before the next attempt, and may end the retry.
///
/// Passed to an attribute by path, `backoff = PATH`, or to a policy by [`Schedule::custom`](crate::Schedule::custom).
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{Backoff, RetryContext, retry};
///
/// /// Uses the server's hint, else 100 ms for the first three retries and 10 s for the others. Does not retry a refused connection.
/// struct Patient;
///
/// impl Backoff for Patient {
///     fn delay(&self, retry: &RetryContext<'_>) -> Duration {
///         match (retry.hint, retry.attempt) {
///             (Some(hint), _) => hint,
///             (None, 1..=3) => Duration::from_millis(100),
///             _ => Duration::from_secs(10),
///         }
///     }
///
///     fn should_retry(&self, retry: &RetryContext<'_>) -> bool {
///         let error = retry.error.and_then(|error| error.downcast_ref::<io::Error>());
///         error.is_none_or(|error| error.kind() != io::ErrorKind::ConnectionRefused)
///     }
/// }
///
/// # fn connect() -> io::Result<u8> { Err(io::ErrorKind::ConnectionRefused.into()) }
/// #[retry(max_attempts = 10, backoff = Patient, jitter = none)]
/// fn read() -> io::Result<u8> {
///     connect()
/// }
/// assert!(read().is_err()); // after one attempt
/// ```
///
/// The policy's jitter (full by default) is applied to the returned delay, except after an error with a hint. `max_retry_after`,
/// `max_elapsed` and the budget apply as usual. A panic propagates to the caller.
pub trait Backoff: Send + Sync + 'static {
    /// Returns the delay before the next attempt.
    fn delay(&self, retry: &RetryContext<'_>) -> Duration;

    /// Returns false to end the retry with the error of the failed attempt. Called before [`delay`](Self::delay), and only if the policy
    /// would make another attempt.
    ///
    /// A retry that ends in this way counts as exhausted.
    fn should_retry(&self, retry: &RetryContext<'_>) -> bool {
        _ = retry;
        true
    }
}

/// The state of a call whose next attempt is about to be scheduled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryContext<'e> {
    /// The number of the attempt that has failed; the first is 1.
    pub attempt: u32,
    /// The delay before that attempt; `None` for the first attempt.
    pub previous: Option<Duration>,
    /// The time since the first attempt began.
    pub elapsed: Duration,
    /// The delay that the error asks for: [`Transient::retry_after`](crate::Transient::retry_after), or the `retry_after` of a breaker
    /// that rejected the attempt. `None` for a hint of zero by the error.
    pub hint: Option<Duration>,
    /// The error of that attempt, which can be downcast to its type. `RetryPolicy::run` passes the error inside a `Box`, an `Arc` or a
    /// [`steadfast::Error`](crate::Error).
    ///
    /// `None` if its type does not implement [`Error`], has lifetime or type parameters, or is not known to the retry: the value of a
    /// function that returns no `Result`, an error type that implements [`Transient`](crate::Transient) by hand without
    /// [`as_dyn_std_error`](crate::Transient::as_dyn_std_error) under [`RetryPolicy::run`](crate::RetryPolicy::run), and a predicate of a
    /// [`RetryCall`](crate::RetryCall) without [`with_errors`](crate::RetryCall::with_errors).
    pub error: Option<&'e (dyn Error + 'static)>,
}

impl fmt::Debug for ByAddress<dyn Backoff> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Backoff")
    }
}
