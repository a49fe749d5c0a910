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

/// The error of a call that a bulkhead has rejected: all permits are in use, and the call could not wait, or not long enough.
///
/// It is also the error of a call that finds [`max_queue`](Self::max_queue) calls waiting, and of one that takes more permits than there
/// [are](Self::exceeds_limit).
///
/// The caller's error type must implement `From<BulkheadFull>`. thiserror generates the implementation for a variant
/// `#[transient(inherit)] Full(#[from] BulkheadFull)`; [`std::io::Error`], `anyhow::Error` and boxed errors have one.
///
/// The error is [`Transient`], without a `retry_after`: the time until a permit is released is unknown. The rejection of a call that takes
/// more permits than there are is permanent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadFull {
    pub(crate) name: &'static str,
    pub(crate) key: Option<Key>,
    pub(crate) max_concurrent: u32,
    pub(crate) permits: u32,
    pub(crate) waited: Option<Duration>,
    pub(crate) max_queue: Option<u32>,
}

impl BulkheadFull {
    /// Returns the name of the bulkhead.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the key of the bulkhead; `None` for a bulkhead without keys and for the [overflow](Self::is_overflow) bulkhead.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref()?.text().map(AsRef::as_ref)
    }

    /// Returns true for the overflow bulkhead, which is shared by all keys without a bulkhead of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.key.as_ref().is_some_and(Key::is_overflow)
    }

    /// Returns the maximum number of concurrent calls.
    #[must_use]
    pub const fn max_concurrent(&self) -> u32 {
        self.max_concurrent
    }

    /// Returns the number of permits that the call takes: 1, unless it has `permits`.
    #[must_use]
    pub const fn permits(&self) -> u32 {
        self.permits
    }

    /// Returns true if the call takes more permits than the bulkhead has. The error is then not transient.
    #[must_use]
    pub const fn exceeds_limit(&self) -> bool {
        self.permits > self.max_concurrent
    }

    /// Returns the maximum number of waiting calls, if the call was rejected because the queue had that length.
    #[must_use]
    pub const fn max_queue(&self) -> Option<u32> {
        self.max_queue
    }

    /// Returns the `max_wait` that the call has waited; `None` if it did not wait, or if a stop signal ended the wait.
    #[must_use]
    pub const fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl Display for BulkheadFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = key::in_sentence(self.key(), self.is_overflow());
        let verb = if self.exceeds_limit() { "" } else { "is " };
        write!(f, "bulkhead `{}`{key} {verb}", escaped(self.name))?;
        write_full(f, self.max_concurrent, self.permits, self.max_queue)?;
        self.waited.map_or(Ok(()), |waited| write!(f, " after a wait of {waited:?}"))
    }
}

/// Writes the reason of a rejection: `full (max_concurrent = 25)`.
pub(crate) fn write_full(
    f: &mut fmt::Formatter<'_>,
    max_concurrent: u32,
    permits: u32,
    max_queue: Option<u32>,
) -> fmt::Result {
    if permits > max_concurrent {
        return write!(f, "cannot admit a call that takes {permits} permits (max_concurrent = {max_concurrent})");
    }
    write!(f, "full (max_concurrent = {max_concurrent}")?;
    if permits != 1 {
        write!(f, ", permits = {permits}")?;
    }
    f.write_str(")")?;
    max_queue.map_or(Ok(()), |max_queue| write!(f, ", and its queue is full, too (max_queue = {max_queue})"))
}

impl Error for BulkheadFull {}

#[diagnostic::do_not_recommend]
impl Transient for BulkheadFull {
    fn is_transient(&self) -> bool {
        !self.exceeds_limit()
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

/// Converts to an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy) that contains the `BulkheadFull`.
impl From<BulkheadFull> for io::Error {
    fn from(full: BulkheadFull) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, full)
    }
}
