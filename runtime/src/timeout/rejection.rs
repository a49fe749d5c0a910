use std::{error::Error, fmt, io, time::Duration};

use crate::{Transient, escape::escaped};

/// A call took longer than its `#[timeout]` allows, and was dropped.
///
/// An error type takes it in through `From<TimedOut>`, which thiserror writes for a variant `TimedOut(#[from] TimedOut)`.
/// [`std::io::Error`], `anyhow::Error` and boxed errors have that already.
///
/// It is [`Transient`]: another attempt may be quicker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    pub(super) function: &'static str,
    pub(super) limit: Duration,
}

impl TimedOut {
    /// The path of the function, or the name that its limit has.
    #[must_use]
    pub const fn function(&self) -> &'static str {
        self.function
    }

    /// How long it might have taken.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` took longer than {:?}", escaped(self.function), self.limit)
    }
}

impl Error for TimedOut {}

#[diagnostic::do_not_recommend]
impl Transient for TimedOut {
    fn is_transient(&self) -> bool {
        true
    }
}

/// As an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut), with the `TimedOut` inside.
impl From<TimedOut> for io::Error {
    fn from(timed_out: TimedOut) -> Self {
        Self::new(io::ErrorKind::TimedOut, timed_out)
    }
}
