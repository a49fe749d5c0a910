mod config;
mod outage;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use self::{
    config::{SnapshotConfig, TripRule},
    outage::Outage,
};
use crate::{BreakerState, Durations, OpenReason, escape::escaped, keyed_store::key};

/// The state, counts, reasons and times of a breaker at one moment.
///
/// All fields are consistent with each other, except the totals of calls since the start of the program: they are summed separately, and
/// may lack calls that end at the same time.
///
/// Its `Display` is one line:
///
/// ```
/// # use steadfast::{BreakerConfig, CircuitBreaker};
/// static ORDERS: CircuitBreaker = CircuitBreaker::new("orders", BreakerConfig::new());
/// assert_eq!(
///     ORDERS.snapshot().to_string(),
///     "orders: closed, 0 failures in a row; 0 succeeded, 0 failed, 0 ignored, 0 cancelled, 0 rejected",
/// );
/// ```
///
/// With the feature `serde`, `Snapshot` implements `Serialize`: durations are in seconds, `last_transition` is the number of seconds since
/// 1970, and states and reasons are their `Display` texts.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the breaker.
    pub name: &'static str,
    /// The key of the breaker; `None` for a breaker without keys, and for the overflow breaker.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub key: Option<Arc<str>>,
    /// True for the overflow breaker, which is shared by all keys without a breaker of their own.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub overflow: bool,
    /// The state that applies to the next call: see [`CircuitBreaker::state`](crate::CircuitBreaker::state).
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text"))]
    pub state: BreakerState,
    /// The state after the last transition. It differs from `state` if it has expired and no call has come since: the recovery timeout has
    /// passed, or an override has expired.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text"))]
    pub entered: BreakerState,
    /// The share of the calls that the breaker admits, from 0 to 1: 1 while closed or disabled, and with `observe_only`; the present share
    /// of the [`ramp_up`](crate::BreakerConfig::ramp_up) after a recovery; 0 while open or forced open. It is also 0 while half-open, when a
    /// number of trial calls is admitted, and not a share.
    pub admitted_share: f64,
    /// The number of failures in a row while closed; 0 in other states, and with a window but no failure threshold.
    pub consecutive_failures: u32,
    /// The counts of the sliding window; `None` without a window. All are 0 unless the circuit is closed.
    pub window: Option<WindowSnapshot>,
    /// The number of successful trial calls while half-open; 0 in other states. The circuit closes at
    /// [`half_open_successes`](SnapshotConfig::half_open_successes).
    pub trial_successes: u32,
    /// The number of failed trial calls while half-open; 0 in other states. The circuit opens again once too few of
    /// [`half_open_max_calls`](SnapshotConfig::half_open_max_calls) are left to close it.
    pub trial_failures: u32,
    /// The number of trial calls in flight while half-open; 0 in other states. A cancelled trial call that had waited is included until its permit
    /// is available again. Once it and the calls that have ended are as many as
    /// [`half_open_max_calls`](SnapshotConfig::half_open_max_calls), other calls are rejected, for at most a recovery timeout.
    pub trials_in_flight: u32,
    /// The number of calls that succeeded.
    pub successes: u64,
    /// The number of calls that failed, panics included.
    pub failures: u64,
    /// The number of calls that were ignored, because `failure_if` does not count their error, or because a limit below the breaker rejected
    /// them.
    pub ignored: u64,
    /// The number of calls that were cancelled: dropped before they ended.
    pub cancelled: u64,
    /// The number of calls that were rejected.
    pub rejections: u64,
    /// The number of calls that would have been rejected without [`observe_only`](crate::BreakerConfig::observe_only). They were made, and
    /// are also counted by their outcomes.
    pub observed_rejections: u64,
    /// The number of calls that have counted as hung: see [`hung_call`](crate::BreakerConfig::hung_call). Once they end, they are also
    /// counted as successes, failures, ignored or cancelled calls. They are counted by the next call of the breaker; until then, only
    /// [`hung_in_flight`](Self::hung_in_flight) includes them.
    pub hung: u64,
    /// The number of calls in flight; `None` without `hung_call`. Calls that were admitted while the breaker was disabled, or only because of
    /// `observe_only`, are not included.
    pub in_flight: Option<u64>,
    /// The number of calls in flight that have reached `hung_call` at the time of the snapshot, counted as hung or not; `None` without
    /// `hung_call`.
    pub hung_in_flight: Option<u64>,
    /// The age of the oldest call in flight, to within a sixth of `hung_call`; `None` without `hung_call`, and if no call is in flight.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub oldest_in_flight: Option<Duration>,
    /// The durations of calls, if they are recorded: see [`durations`](crate::BreakerConfig::durations). `None` for the breaker of a key;
    /// [`KeyedSnapshot`](crate::KeyedSnapshot) has those of all keys.
    pub durations: Option<Durations>,
    /// The number of changes of state.
    pub transitions: u64,
    /// The time of the last change of state; `None` before the first. If an open circuit reads as half-open, because its recovery timeout
    /// has passed, this is still the time of its opening.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::moment"))]
    pub last_transition: Option<SystemTime>,
    /// The time until an open or forced open circuit admits a call; zero once the next call is a trial call. `None` if the circuit is
    /// forced open without an expiry, and in other states. With `observe_only`, calls are admitted all the same.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub open_for: Option<Duration>,
    /// The time until a disabled circuit is closed; `None` if it is disabled without an expiry, and in other states.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub disabled_for: Option<Duration>,
    /// The reason for which the circuit opened, with the counts that opened it, until a trial call is made; `None` in other states.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub open_reason: Option<OpenReason>,
    /// The number of failed recoveries since the circuit was last closed, while open or half-open; 0 in other states.
    pub failed_recoveries: u32,
    /// The outage that has not ended yet: from the opening of a closed circuit until it closes again; `None` while closed or disabled.
    pub outage: Option<Outage>,
    /// The reason that was given for the [`Override`](crate::Override) that made the last change of state. It is kept after the override has
    /// expired, until the next call changes the state.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text_if_any"))]
    pub operator_reason: Option<Arc<str>>,
    /// The failure that opened the circuit last, kept after the circuit has closed; `None` if it has never been opened by a failed call, or
    /// if the text is not known: see [`CircuitOpen::last_failure`](crate::CircuitOpen::last_failure).
    pub last_failure: Option<LastFailure>,
    /// The settings in force by which the counts are judged.
    pub config: SnapshotConfig,
}

/// The failure that opened a circuit.
///
/// Implements `Serialize` with the feature `serde`: `at` is the number of seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LastFailure {
    /// The text of the error, at most 256 characters.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::text"))]
    pub text: Arc<str>,
    /// The time at which the circuit opened.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
    pub at: SystemTime,
}

/// The counts of a breaker's sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WindowSnapshot {
    /// The number of calls.
    pub calls: u64,
    /// The number of failed calls.
    pub failures: u64,
    /// The number of slow calls.
    pub slow: u64,
}

impl WindowSnapshot {
    /// The failure rate, between 0 and 1; `None` if there are no calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.share(self.failures)
    }

    /// The slow-call rate, between 0 and 1; `None` if there are no calls.
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
        if self.config.observe_only {
            f.write_str(" (observe only)")?;
        }
        if let (BreakerState::Open, Some(reason)) = (self.state, self.open_reason) {
            write!(f, " {},", reason.cause())?;
        }
        if self.trials_in_flight > 0 {
            let calls = if self.trials_in_flight == 1 { "trial call" } else { "trial calls" };
            write!(f, ", {} {calls} in flight", self.trials_in_flight)?;
        }
        match self.open_for.or(self.disabled_for) {
            Some(left) if !left.is_zero() => write!(f, " for another {left:.3?}")?,
            Some(_) => f.write_str(", the next call is a trial call")?,
            None => {}
        }
        if let (Some(outage), BreakerState::Open | BreakerState::HalfOpen) = (&self.outage, self.state)
            && outage.failed_recoveries > 0
        {
            write!(f, ", in an outage of {:.3?} (first {})", outage.lasted(), outage.reason)?;
        }
        if self.state == BreakerState::Closed && self.admitted_share < 1.0 {
            write!(f, ", ramping up: {:.0} % of the calls are admitted", (self.admitted_share * 100.0).floor())?;
        }
        if self.state == BreakerState::Closed {
            if self.config.threshold.failure_threshold().is_some() {
                let failures = if self.consecutive_failures == 1 { "failure" } else { "failures" };
                write!(f, ", {} {failures} in a row", self.consecutive_failures)?;
            }
            if let Some(WindowSnapshot { calls, failures, slow }) = self.window {
                write!(f, ", {failures} failed and {slow} slow of {calls} calls in the window")?;
            }
        }
        if let Some(reason) = &self.operator_reason {
            write!(f, " ({})", escaped(reason))?;
        }
        write!(
            f,
            "; {} succeeded, {} failed, {} ignored, {} cancelled, {} rejected",
            self.successes, self.failures, self.ignored, self.cancelled, self.rejections
        )?;
        if self.observed_rejections > 0 {
            write!(f, ", {} rejections only observed", self.observed_rejections)?;
        }
        if self.hung > 0 {
            write!(f, ", {} hung", self.hung)?;
        }
        match (self.in_flight, self.oldest_in_flight) {
            (Some(calls), Some(oldest)) => {
                write!(f, "; {calls} in flight")?;
                if let Some(hung @ 1..) = self.hung_in_flight {
                    write!(f, ", {hung} of them hung")?;
                }
                write!(f, ", the oldest for {oldest:.3?}")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signatures that serde requires")]
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

    pub(crate) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        moment(&Some(*time), serializer)
    }

    pub(crate) fn moment<S: Serializer>(moment: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        seconds(&moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok()), serializer)
    }
}
