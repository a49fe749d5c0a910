mod config;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use self::config::{SnapshotConfig, TripRule};
use crate::{BreakerState, OpenReason, escape::escaped, key};

/// What a breaker was doing at one moment.
///
/// One reading: state, counts, reasons and times belong together. The totals are added up beside it and count since the
/// program started; those of calls that end meanwhile may be missing.
///
/// Its `Display` is one line:
///
/// ```
/// # use steadfast::{BreakerConfig, CircuitBreaker};
/// static ORDERS: CircuitBreaker = CircuitBreaker::new("orders", BreakerConfig::new());
/// assert_eq!(
///     ORDERS.snapshot().to_string(),
///     "orders: closed, 0 failures in a row; 0 succeeded, 0 failed, 0 neutral, 0 rejected",
/// );
/// ```
///
/// With the feature `serde` it is `Serialize`: durations are numbers of seconds, `last_transition` is the number of
/// seconds since 1970, the state and the reason why it is open are their texts.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's name.
    pub name: &'static str,
    /// Which of the breakers of that name, where there is one for each key.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub key: Option<Arc<str>>,
    /// True for the breaker that all keys share that have none of their own. Its `key` is `None`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub overflow: bool,
    /// The state that the next call would have found: see [`CircuitBreaker::state`](crate::CircuitBreaker::state).
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text"))]
    pub state: BreakerState,
    /// The state that the last change led to. Another than `state` while that is over by itself and no call has come since.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text"))]
    pub entered: BreakerState,
    /// Failures in a row, while closed and judged by them; 0 otherwise.
    pub consecutive_failures: u32,
    /// What is in the window, if it is judged by one. Empty while it is not closed.
    pub window: Option<WindowSnapshot>,
    /// Half-open, trial calls that have succeeded; as many as [`half_open_max_calls`](SnapshotConfig::half_open_max_calls) close it.
    pub trial_successes: u32,
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed, panics included.
    pub failures: u64,
    /// Calls that counted as neither: dropped before their end, or failed in a way that `failure_if` leaves out.
    pub neutral: u64,
    /// Calls that were not made because the circuit did not admit them; by a breaker that only observes, calls that would
    /// not have been made.
    pub rejections: u64,
    /// Changes of state so far.
    pub transitions: u64,
    /// The time of the last change of state; `None` before the first. An open circuit whose recovery timeout has passed reads
    /// half-open, and has not changed since it opened.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::moment"))]
    pub last_transition: Option<SystemTime>,
    /// While open, the time until a call is admitted: zero once the recovery timeout has passed and the next call is a trial.
    /// `None` where only an operator knows, and in every other state.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub open_for: Option<Duration>,
    /// While disabled for a time, how long still.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub disabled_for: Option<Duration>,
    /// The rule that opened it, with its figures, until a trial call is made.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub open_reason: Option<OpenReason>,
    /// While open or half-open, recoveries that failed since it was closed last.
    pub failed_recoveries: u32,
    /// The reason that was given for the last change, where an operator or an [`Override`](crate::Override) made it.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub operator_reason: Option<Arc<str>>,
    /// The settings by which the counts are judged.
    pub config: SnapshotConfig,
}

/// The calls in a breaker's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WindowSnapshot {
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow.
    pub slow: u64,
}

impl WindowSnapshot {
    /// The share of calls that failed; `None` if there are no calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.share(self.failures)
    }

    /// The share of calls that were slow; `None` if there are no calls.
    #[must_use]
    pub fn slow_call_rate(&self) -> Option<f64> {
        self.share(self.slow)
    }

    #[allow(clippy::cast_precision_loss, reason = "counts below 2⁵³")]
    fn share(self, part: u64) -> Option<f64> {
        (self.calls > 0).then(|| part as f64 / self.calls as f64)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", escaped(self.name), key::suffix(self.key.as_deref(), self.overflow), self.state)?;
        if let (BreakerState::Open, Some(reason)) = (self.state, self.open_reason) {
            write!(f, " {},", reason.cause())?;
        }
        match self.open_for.or(self.disabled_for) {
            Some(left) if !left.is_zero() => write!(f, " for another {left:.3?}")?,
            Some(_) => f.write_str(", the next call is a trial")?,
            None => {}
        }
        match (self.state, self.window) {
            (BreakerState::Closed, Some(WindowSnapshot { calls, failures, slow })) => {
                write!(f, ", {failures} failed and {slow} slow of {calls} calls in the window")?;
            }
            (BreakerState::Closed, None) => {
                let failures = if self.consecutive_failures == 1 { "failure" } else { "failures" };
                write!(f, ", {} {failures} in a row", self.consecutive_failures)?;
            }
            _ => {}
        }
        if let Some(reason) = &self.operator_reason {
            write!(f, " ({})", escaped(reason))?;
        }
        write!(
            f,
            "; {} succeeded, {} failed, {} neutral, {} rejected",
            self.successes, self.failures, self.neutral, self.rejections
        )
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
pub(super) mod serialize {
    use std::{
        fmt::Display,
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use serde::Serializer;

    pub(crate) fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn text_if_any<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_f64(duration.as_secs_f64()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn moment<S: Serializer>(moment: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        seconds(&moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok()), serializer)
    }
}
