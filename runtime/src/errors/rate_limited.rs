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
/// The error is [`Transient`], with the time until there is capacity as its `retry_after`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimited {
    pub(crate) name: &'static str,
    pub(crate) key: Option<Key>,
    pub(crate) retry_after: Duration,
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

    /// Returns the time from the rejection until there is capacity for a call, if no other call takes it.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = key::in_sentence(self.key(), self.is_overflow());
        write!(f, "rate limit `{}`{key} is reached; retry after {:.3?}", escaped(self.name), self.retry_after)
    }
}

impl Error for RateLimited {}

#[diagnostic::do_not_recommend]
impl Transient for RateLimited {
    fn is_transient(&self) -> bool {
        true
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(self.retry_after)
    }

    fn is_rejection(&self) -> bool {
        true
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

/// Converts to an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy) that contains the `RateLimited`.
impl From<RateLimited> for io::Error {
    fn from(limited: RateLimited) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, limited)
    }
}
