use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use super::cause::PackedReason;
use crate::{
    clock::Micros,
    escape::escaped,
    key::{self, Key},
    stack::RejectionTrace,
};

/// A call was not made, because the circuit breaker in front of it is open.
///
/// An error type takes it in through `From<CircuitOpen>`, which thiserror writes for a variant
/// `Open(#[from] CircuitOpen)`. [`std::io::Error`], `anyhow::Error` and boxed errors have that already.
///
/// It is [`Transient`](crate::Transient) for nobody: a retry does not hammer an open circuit unless
/// `retry_if(CircuitOpen)` asks it to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitOpen {
    pub(super) name: &'static str,
    pub(super) key: OptText<Key>,
    pub(super) reason: PackedReason,
    /// What an operator said.
    pub(super) note: OptText<Arc<str>>,
    pub(super) elapsed: Micros,
    pub(super) retry_after: Micros,
    pub(super) trace: RejectionTrace,
}

/// Something that few rejections have.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OptText<T>(pub(super) Option<T>);

/// Why a call was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenReason {
    /// This many calls in a row had failed.
    ConsecutiveFailures {
        /// How many.
        failures: u32,
    },
    /// Too large a share of the calls in the window had failed.
    FailureRate {
        /// Failed calls.
        failures: u32,
        /// All calls.
        calls: u32,
    },
    /// Too large a share of the calls in the window was slow.
    SlowCallRate {
        /// Slow calls.
        slow: u32,
        /// All calls.
        calls: u32,
    },
    /// The circuit was half-open, and a trial call failed.
    TrialFailed,
    /// The circuit is half-open, and all its trial calls are under way.
    TrialsUnderWay,
    /// The circuit has closed a short time ago and does not let all calls through yet.
    RampingUp,
    /// An operator forced it open.
    Forced,
    /// [`Override::open`](crate::Override::open) opened it: another instance of the program has found out, say.
    Override,
}

impl CircuitOpen {
    /// One to ask about its type.
    pub(crate) const EXAMPLE: Self = Self {
        name: "",
        key: OptText(None),
        reason: PackedReason::FORCED,
        note: OptText(None),
        elapsed: Micros::new(None),
        retry_after: Micros::new(None),
        trace: RejectionTrace::NONE,
    };

    /// The name of the breaker.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Which of the breakers of that name it is, where there is one for each key; `None` for the [overflow](Self::is_overflow).
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.0.as_ref()?.text().map(AsRef::as_ref)
    }

    /// True for the breaker that all keys share that have none of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.key.0.as_ref().is_some_and(Key::is_overflow)
    }

    /// Why the call was rejected: the rule, with its figures.
    #[must_use]
    pub const fn reason(&self) -> OpenReason {
        self.reason.reason()
    }

    /// What was given as a reason by who forced the circuit open, or opened it by an intervention.
    #[must_use]
    pub fn operator_reason(&self) -> Option<&str> {
        self.note.0.as_deref()
    }

    /// How long the circuit had been in its state when it rejected the call.
    #[must_use]
    pub const fn elapsed(&self) -> Option<Duration> {
        self.elapsed.get()
    }

    /// How long from the rejection until a call can be admitted.
    ///
    /// While trial calls are under way that is the longest it can take: until the ones that never end are given up.
    /// `None` when only an operator knows.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after.get()
    }

    /// Converts the rejection into the caller's error type, and records it for the retry above: the error type may keep nothing of it.
    #[cold]
    pub(crate) fn into_error<E: From<Self>>(self) -> E {
        let record = self.trace.to_record(self.retry_after);
        let error = E::from(self);
        record.record_again();
        error
    }
}

/// Out of line and by value, so that nobody asks for its address: who throws a rejection away need not have it in memory, and does
/// not move it there first.
impl<T> Drop for OptText<T> {
    #[inline]
    fn drop(&mut self) {
        #[cold]
        fn let_go<T>(_: T) {}

        if let Some(rare) = self.0.take() {
            let_go(rare);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OptText<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = key::whose(self.key(), self.is_overflow());
        write!(f, "circuit `{}`{whose} is {}", escaped(self.name), self.reason())?;
        if let Some(note) = self.operator_reason() {
            write!(f, " ({})", escaped(note))?;
        }
        match self.retry_after() {
            Some(wait) => write!(f, "; retry after {wait:.3?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for OpenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrialsUnderWay => f.write_str("half-open, and all trial calls are under way"),
            Self::RampingUp => f.write_str("closed, and lets only a share of the calls through yet"),
            Self::Forced => f.write_str("forced open"),
            _ => write!(f, "open {}", self.cause()),
        }
    }
}

impl OpenReason {
    /// What opened the circuit: `after 5 failures in a row`.
    pub(crate) fn cause(self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::ConsecutiveFailures { failures: 1 } => f.write_str("after a failure"),
            Self::ConsecutiveFailures { failures } => write!(f, "after {failures} failures in a row"),
            Self::FailureRate { failures, calls } => {
                write!(f, "after {failures} of {calls} calls failed ({} %)", percent(failures, calls))
            }
            Self::SlowCallRate { slow, calls } => {
                write!(f, "after {slow} of {calls} calls were slow ({} %)", percent(slow, calls))
            }
            Self::TrialFailed => f.write_str("after a failed trial call"),
            Self::Override => f.write_str("by an intervention"),
            other => fmt::Display::fmt(&other, f),
        })
    }
}

/// Rounded down, so that 100 means all.
fn percent(part: u32, whole: u32) -> u64 {
    (u64::from(part) * 100).checked_div(u64::from(whole)).unwrap_or(0)
}

impl Error for CircuitOpen {}

/// The rejection as an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy), with the `CircuitOpen`
/// inside.
impl From<CircuitOpen> for io::Error {
    fn from(open: CircuitOpen) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, open)
    }
}
