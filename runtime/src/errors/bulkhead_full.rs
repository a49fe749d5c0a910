use std::{
    error::Error,
    fmt::{self, Display},
    io,
    time::Duration,
};

use crate::{Transient, escape::escaped};

/// The error of a call that a bulkhead has rejected, because all permits are in use.
///
/// The caller's error type must implement `From<BulkheadFull>`. thiserror generates the implementation for a variant
/// `#[transient(inherit)] Full(#[from] BulkheadFull)`; [`std::io::Error`], `anyhow::Error` and boxed errors have one.
///
/// The error is [`Transient`], without a `retry_after`: the time until a permit is released is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadFull {
    pub(crate) name: &'static str,
    pub(crate) max_concurrent: u32,
    pub(crate) waited: Option<Duration>,
}

impl BulkheadFull {
    /// Returns the name of the bulkhead.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the maximum number of concurrent calls.
    #[must_use]
    pub const fn max_concurrent(&self) -> u32 {
        self.max_concurrent
    }

    /// Returns the time for which the call waited; `None` if the bulkhead has no `max_wait`.
    #[must_use]
    pub const fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl Display for BulkheadFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulkhead `{}` is full (max_concurrent = {})", escaped(self.name), self.max_concurrent)?;
        self.waited.map_or(Ok(()), |waited| write!(f, " after a wait of {waited:?}"))
    }
}

impl Error for BulkheadFull {}

#[diagnostic::do_not_recommend]
impl Transient for BulkheadFull {
    fn is_transient(&self) -> bool {
        true
    }

    fn is_rejection(&self) -> bool {
        true
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

/// Converts to an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy) that contains the `BulkheadFull`.
impl From<BulkheadFull> for io::Error {
    fn from(full: BulkheadFull) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, full)
    }
}
