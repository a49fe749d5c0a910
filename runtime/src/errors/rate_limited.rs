use std::{
    error::Error,
    fmt::{self, Display},
    io,
    time::Duration,
};

use crate::{
    Transient,
    escape::escaped,
    keyed_store::key::{self, Key},
};

/// The error of a call that a rate limit has rejected.
///
/// The caller's error type must implement `From<RateLimited>`. thiserror generates the implementation for a variant
/// `#[transient(inherit)] Limited(#[from] RateLimited)`; [`std::io::Error`], `anyhow::Error` and boxed errors have one.
///
/// The error is [`Transient`], with the time until there is capacity as its `retry_after`. The rejection of a call that takes more permits
/// than the limit [can ever admit](Self::exceeds_limit) is permanent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimited {
    pub(crate) name: &'static str,
    pub(crate) key: Option<Key>,
    pub(crate) retry_after: Duration,
    pub(crate) permits: u32,
    pub(crate) max_permits: u32,
}

impl RateLimited {
    /// Returns the name of the limit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the key of the limit; `None` for a limit without keys and for the [overflow](Self::is_overflow) limit.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref()?.text().map(AsRef::as_ref)
    }

    /// Returns true for the overflow limit, which is shared by all keys without a limit of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.key.as_ref().is_some_and(Key::is_overflow)
    }

    /// Returns the time from the rejection until there is capacity for the call, if no other call takes it. It is [`Duration::MAX`] for a call
    /// that [exceeds the limit](Self::exceeds_limit).
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// Returns the number of permits that the call takes: 1, unless it has `permits`.
    #[must_use]
    pub const fn permits(&self) -> u32 {
        self.permits
    }

    /// Returns the largest number of permits that a call can take: the `limit`, or with GCRA the `burst`.
    #[must_use]
    pub const fn max_permits(&self) -> u32 {
        self.max_permits
    }

    /// Returns true if the call takes more permits than the limit can ever admit at once. The error is then not transient.
    #[must_use]
    pub const fn exceeds_limit(&self) -> bool {
        self.permits > self.max_permits
    }
}

impl Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, permits, max_permits, retry_after, .. } = self;
        write!(f, "rate limit `{}`{} ", escaped(name), key::in_sentence(self.key(), self.is_overflow()))?;
        write_rejection(f, *permits, *max_permits, *retry_after)
    }
}

/// Writes the reason of a rejection, which follows the name of the limit.
pub(crate) fn write_rejection(
    f: &mut fmt::Formatter<'_>,
    permits: u32,
    max_permits: u32,
    retry_after: Duration,
) -> fmt::Result {
    if permits > max_permits {
        return write!(f, "cannot admit a call that takes {permits} permits: the maximum is {max_permits}");
    }
    f.write_str("is reached")?;
    if permits != 1 {
        write!(f, " (permits = {permits})")?;
    }
    write!(f, "; retry after {retry_after:.3?}")
}

impl Error for RateLimited {}

#[diagnostic::do_not_recommend]
impl Transient for RateLimited {
    fn is_transient(&self) -> bool {
        !self.exceeds_limit()
    }

    fn retry_after(&self) -> Option<Duration> {
        (!self.exceeds_limit()).then_some(self.retry_after)
    }

    fn is_rejection(&self) -> bool {
        true
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// Converts to an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy) that contains the `RateLimited`.
impl From<RateLimited> for io::Error {
    fn from(limited: RateLimited) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, limited)
    }
}
