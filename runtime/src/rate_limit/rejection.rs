use std::{error::Error, fmt, io, time::Duration};

use crate::{
    Transient,
    escape::escaped,
    key::{self, Key},
};

/// A call was not made, because it was above a rate limit.
///
/// An error type takes it in through `From<RateLimited>`, which thiserror writes for a variant `Limited(#[from] RateLimited)`.
/// [`std::io::Error`], `anyhow::Error` and boxed errors have that already.
///
/// It is [`Transient`], and knows when there will be a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimited {
    pub(super) name: &'static str,
    pub(super) key: Option<Key>,
    pub(super) retry_after: Duration,
}

impl RateLimited {
    /// The name of the limit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Which of the limits of that name it is, where there is one for each key; `None` for the [overflow](Self::is_overflow).
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref()?.text().map(AsRef::as_ref)
    }

    /// True for the limit that all keys share that have none of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.key.as_ref().is_some_and(Key::is_overflow)
    }

    /// How long from the rejection until there is a place for a call, if nobody else takes it.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = key::whose(self.key(), self.is_overflow());
        write!(f, "rate limit `{}`{whose} is reached; there is a place in {:.3?}", escaped(self.name), self.retry_after)
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
}

/// As an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy), with the `RateLimited` inside.
impl From<RateLimited> for io::Error {
    fn from(limited: RateLimited) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, limited)
    }
}
