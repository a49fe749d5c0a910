use std::{fmt, ptr, time::Duration};

/// A backoff of your own: how long to wait before the next attempt.
///
/// Given to an attribute by its path, `backoff = PATH`, or to a policy by [`Schedule::custom`](crate::Schedule::custom).
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{Backoff, RetryContext, retry};
///
/// /// Soon at first, then every ten seconds; what the server asks for comes first.
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
/// The policy's jitter is applied to what it returns, full jitter if nothing is said, but for a delay after an error with a hint.
/// `max_elapsed` and a budget hold as ever. A panic passes through to the caller.
pub trait Backoff: Send + Sync + 'static {
    /// The delay before the attempt that comes next.
    fn delay(&self, retry: &RetryContext) -> Duration;
}

/// A retry that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryContext {
    /// The attempt that has failed; the first is 1.
    pub attempt: u32,
    /// The delay before that attempt; `None` before the first.
    pub previous: Option<Duration>,
    /// How long ago the first attempt began.
    pub elapsed: Duration,
    /// What the error asks for: [`Transient::retry_after`](crate::Transient::retry_after), or the wait of a breaker that
    /// rejected the attempt.
    pub hint: Option<Duration>,
}

/// A backoff that policies share: the same if it is the same place in memory.
#[derive(Clone, Copy)]
pub(super) struct Custom(pub(super) &'static dyn Backoff);

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Backoff")
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        ptr::addr_eq(self.0, other.0)
    }
}
