use std::{
    error::Error,
    fmt::{self, Display},
    io,
    time::Duration,
};

use crate::{Transient, escape::escaped};

/// The error of a call that took longer than its `#[timeout]` allows and was dropped.
///
/// The function's error type must implement `From<TimedOut>`. thiserror generates the implementation for a variant
/// `#[transient(inherit)] TimedOut(#[from] TimedOut)`; [`std::io::Error`], `anyhow::Error` and boxed errors have one.
///
/// The error is [`Transient`]: another attempt may be faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    pub(crate) name: &'static str,
    pub(crate) limit: Duration,
}

impl TimedOut {
    /// Returns the path of the function, or the name of its timeout.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the time limit that the call exceeded.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}

impl Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` took longer than {:?}", escaped(self.name), self.limit)
    }
}

impl Error for TimedOut {}

/// Converts to an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut) that contains the `TimedOut`.
impl From<TimedOut> for io::Error {
    fn from(timed_out: TimedOut) -> Self {
        Self::new(io::ErrorKind::TimedOut, timed_out)
    }
}

/// Always transient: another attempt may be faster.
#[diagnostic::do_not_recommend]
impl Transient for TimedOut {
    fn is_transient(&self) -> bool {
        true
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}
