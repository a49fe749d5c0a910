use std::{error::Error, fmt, io, time::Duration};

use crate::{Transient, escape::escaped};

/// A call was not made, because as many as may be are in flight.
///
/// An error type takes it in through `From<BulkheadFull>`, which thiserror writes for a variant `Full(#[from] BulkheadFull)`.
/// [`std::io::Error`], `anyhow::Error` and boxed errors have that already.
///
/// It is [`Transient`]: there may be a place in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadFull {
    pub(super) name: &'static str,
    pub(super) max_concurrent: u32,
    pub(super) waited: Option<Duration>,
}

impl BulkheadFull {
    /// The name of the bulkhead.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many calls there may be at once.
    #[must_use]
    pub const fn max_concurrent(&self) -> u32 {
        self.max_concurrent
    }

    /// How long the call has waited, if it could.
    #[must_use]
    pub const fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl fmt::Display for BulkheadFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulkhead `{}` is full: {} calls are in flight", escaped(self.name), self.max_concurrent)?;
        self.waited.map_or(Ok(()), |waited| write!(f, ", and the wait of {waited:?} is over"))
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
}

/// As an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy), with the `BulkheadFull` inside.
impl From<BulkheadFull> for io::Error {
    fn from(full: BulkheadFull) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, full)
    }
}
