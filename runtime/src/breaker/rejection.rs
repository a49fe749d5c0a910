use std::{error::Error, fmt, io, time::Duration};

use super::word::Refusal;

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
    name: &'static str,
    reason: OpenReason,
    retry_after: Option<Duration>,
}

/// Why a call was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenReason {
    /// This many calls in a row had failed.
    ConsecutiveFailures {
        /// How many.
        failures: u32,
    },
    /// The circuit was half-open, and a trial call failed.
    TrialFailed,
    /// The circuit is half-open, and all its trial calls are under way.
    TrialsUnderWay,
    /// An operator forced it open.
    Forced,
}

impl CircuitOpen {
    pub(crate) const fn new(name: &'static str, failure_threshold: u32, refusal: Refusal) -> Self {
        let (reason, wait) = match refusal {
            Refusal::Open { wait, after_trial: false } => {
                (OpenReason::ConsecutiveFailures { failures: failure_threshold }, Some(wait))
            }
            Refusal::Open { wait, after_trial: true } => (OpenReason::TrialFailed, Some(wait)),
            Refusal::TrialsTaken { wait } => (OpenReason::TrialsUnderWay, Some(wait)),
            Refusal::Forced => (OpenReason::Forced, None),
        };
        let retry_after = match wait {
            Some(micros) => Some(Duration::from_micros(micros)),
            None => None,
        };
        Self { name, reason, retry_after }
    }

    /// The name of the breaker.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Why the call was rejected.
    #[must_use]
    pub const fn reason(&self) -> OpenReason {
        self.reason
    }

    /// How long from the rejection until a call can be admitted.
    ///
    /// While trial calls are under way that is the longest it can take: until the ones that never end are given up.
    /// `None` when only an operator knows.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "circuit `{}` is {}", self.name, self.reason)?;
        match self.retry_after {
            Some(wait) => write!(f, "; retry after {wait:.3?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for OpenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsecutiveFailures { failures: 1 } => f.write_str("open after a failure"),
            Self::ConsecutiveFailures { failures } => write!(f, "open after {failures} failures in a row"),
            Self::TrialFailed => f.write_str("open after a failed trial call"),
            Self::TrialsUnderWay => f.write_str("half-open, and all trial calls are under way"),
            Self::Forced => f.write_str("forced open"),
        }
    }
}

impl Error for CircuitOpen {}

/// The rejection as an [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy), with the `CircuitOpen`
/// inside.
impl From<CircuitOpen> for io::Error {
    fn from(open: CircuitOpen) -> Self {
        Self::new(io::ErrorKind::ResourceBusy, open)
    }
}
