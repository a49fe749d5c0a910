//! The reason for a rejection: the public type, and its packed form in rejections and in the state of a breaker.

use std::{fmt, time::Duration};

/// The reason for a rejection, with the counts that opened the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenReason {
    /// The failure threshold was reached: this number of calls failed in a row.
    #[non_exhaustive]
    ConsecutiveFailures {
        /// The number of failures in a row.
        failures: u32,
    },
    /// The failure rate in the sliding window reached its threshold.
    #[non_exhaustive]
    FailureRate {
        /// The number of failed calls in the window.
        failures: u32,
        /// The number of all calls in the window.
        calls: u32,
    },
    /// The failure threshold or the failure rate was reached by a call that was cancelled at the age of
    /// [`cancelled_call`](crate::BreakerConfig::cancelled_call) or later. Snapshots count such calls as cancelled, not as failures.
    #[non_exhaustive]
    CancelledCalls {
        /// The number of failures in a row or in the window, cancelled calls included.
        failures: u32,
        /// The number of all calls in the window; `None` if the failures were in a row.
        calls: Option<u32>,
    },
    /// The slow-call rate in the sliding window reached its threshold.
    #[non_exhaustive]
    SlowCallRate {
        /// The number of slow calls in the window.
        slow: u32,
        /// The number of all calls in the window.
        calls: u32,
    },
    /// Calls in flight have reached the age of [`hung_call`](crate::BreakerConfig::hung_call), and opened the circuit before they ended.
    #[non_exhaustive]
    Hung {
        /// The number of calls in flight that have reached the limit.
        calls: u32,
        /// The limit, in whole milliseconds, rounded up.
        limit: Duration,
    },
    /// No call was answered, while calls that had waited for a while were cancelled again and again. This is the rule for cancelled calls
    /// without [`cancelled_call`](crate::BreakerConfig::cancelled_call).
    #[non_exhaustive]
    Cancelled {
        /// The number of calls that were cancelled since the last answer.
        calls: u32,
    },
    /// A trial call failed while the circuit was half-open.
    TrialFailed,
    /// The circuit is half-open, and all its trial calls are in flight.
    TrialsUnderWay,
    /// The circuit closed recently, and still admits only a share of the calls.
    RampingUp,
    /// An operator forced the circuit open.
    Forced,
    /// [`Override::open`](crate::Override::open) opened the circuit, for example on behalf of another instance of the program.
    Override,
}

/// An [`OpenReason`] packed into 64 bits: the code of the rule, and two counts of [`COUNT_BITS`] bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedReason(u64);

/// The width of a packed count, in bits. Larger counts saturate.
pub(crate) const COUNT_BITS: u32 = 30;
const MAX_COUNT: u32 = (1 << COUNT_BITS) - 1;

// The codes of the rules. `PLAIN` marks a reason without counts, which has its own code in place of the first count.
const PLAIN: u64 = 0;
const CONSECUTIVE: u64 = 1;
const FAILURE_RATE: u64 = 2;
const SLOW_CALL_RATE: u64 = 3;
const HUNG: u64 = 4;
const CANCELLED: u64 = 5;
const CANCELLED_IN_A_ROW: u64 = 6;
const CANCELLED_IN_WINDOW: u64 = 7;
/// The code of a half-open circuit, which has no reason, with the number of its failed recoveries.
const HALF_OPEN: u64 = 8;

// The codes of the reasons without counts. 0 means no reason.
const OVERRIDE: u32 = 1;
const TRIAL_FAILED: u32 = 2;
const TRIALS_UNDER_WAY: u32 = 3;
const RAMPING_UP: u32 = 4;
const FORCED: u32 = 5;

impl PackedReason {
    pub(crate) const FORCED: Self = Self::of(OpenReason::Forced);
    pub(crate) const RAMPING_UP: Self = Self::of(OpenReason::RampingUp);
    pub(crate) const TRIALS_UNDER_WAY: Self = Self::of(OpenReason::TrialsUnderWay);
    pub(crate) const TRIAL_FAILED: Self = Self::of(OpenReason::TrialFailed);
    pub(crate) const OVERRIDE: Self = Self::of(OpenReason::Override);
    /// The reason of a state that is not open.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn of(reason: OpenReason) -> Self {
        let (rule, count, calls) = match reason {
            OpenReason::ConsecutiveFailures { failures } => (CONSECUTIVE, failures, 0),
            OpenReason::FailureRate { failures, calls } => (FAILURE_RATE, failures, calls),
            OpenReason::SlowCallRate { slow, calls } => (SLOW_CALL_RATE, slow, calls),
            OpenReason::Hung { calls, limit } => (HUNG, calls, whole_millis(limit)),
            OpenReason::Cancelled { calls } => (CANCELLED, calls, 0),
            OpenReason::CancelledCalls { failures, calls: None } => (CANCELLED_IN_A_ROW, failures, 0),
            OpenReason::CancelledCalls { failures, calls: Some(calls) } => (CANCELLED_IN_WINDOW, failures, calls),
            OpenReason::Override => (PLAIN, OVERRIDE, 0),
            OpenReason::TrialFailed => (PLAIN, TRIAL_FAILED, 0),
            OpenReason::TrialsUnderWay => (PLAIN, TRIALS_UNDER_WAY, 0),
            OpenReason::RampingUp => (PLAIN, RAMPING_UP, 0),
            OpenReason::Forced => (PLAIN, FORCED, 0),
        };
        Self((rule << COUNT_BITS | saturating(count)) << COUNT_BITS | saturating(calls))
    }

    #[allow(clippy::cast_possible_truncation, reason = "30 bits")]
    pub(crate) const fn reason(self) -> OpenReason {
        let (count, calls) = ((self.0 >> COUNT_BITS) as u32 & MAX_COUNT, self.0 as u32 & MAX_COUNT);
        match (self.0 >> (2 * COUNT_BITS), count) {
            (CONSECUTIVE, failures) => OpenReason::ConsecutiveFailures { failures },
            (FAILURE_RATE, failures) => OpenReason::FailureRate { failures, calls },
            (SLOW_CALL_RATE, slow) => OpenReason::SlowCallRate { slow, calls },
            (HUNG, count) => OpenReason::Hung { calls: count, limit: Duration::from_millis(calls as u64) },
            (CANCELLED, calls) => OpenReason::Cancelled { calls },
            (CANCELLED_IN_A_ROW, failures) => OpenReason::CancelledCalls { failures, calls: None },
            (CANCELLED_IN_WINDOW, failures) => OpenReason::CancelledCalls { failures, calls: Some(calls) },
            (_, OVERRIDE) => OpenReason::Override,
            (_, TRIAL_FAILED) => OpenReason::TrialFailed,
            (_, TRIALS_UNDER_WAY) => OpenReason::TrialsUnderWay,
            (_, RAMPING_UP) => OpenReason::RampingUp,
            _ => OpenReason::Forced,
        }
    }

    /// The number of failed recoveries of a half-open circuit, in the place of a reason.
    pub(crate) const fn failed_recoveries(failed: u8) -> Self {
        Self(HALF_OPEN << (2 * COUNT_BITS) | failed as u64)
    }

    /// The number that [`failed_recoveries`](Self::failed_recoveries) has stored.
    #[allow(clippy::cast_possible_truncation, reason = "it was of that width before it was stored")]
    pub(crate) const fn as_failed_recoveries(self) -> u8 {
        self.0 as u8
    }

    pub(crate) const fn is_hung(self) -> bool {
        self.0 >> (2 * COUNT_BITS) == HUNG
    }

    /// Returns true for a manual override, for which an operator can give a reason.
    pub(crate) fn is_operator_set(self) -> bool {
        self == Self::FORCED || self == Self::OVERRIDE
    }
}

impl fmt::Display for OpenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrialsUnderWay => f.write_str("half-open, and all trial calls are in flight"),
            Self::RampingUp => f.write_str("ramping up, and admits only a share of the calls"),
            Self::Forced => f.write_str("forced open"),
            _ => write!(f, "open {}", self.cause()),
        }
    }
}

impl OpenReason {
    /// The reason if the call that opened the circuit was cancelled.
    pub(crate) const fn with_cancelled_calls(self) -> Self {
        match self {
            Self::ConsecutiveFailures { failures } => Self::CancelledCalls { failures, calls: None },
            Self::FailureRate { failures, calls } => Self::CancelledCalls { failures, calls: Some(calls) },
            other => other,
        }
    }

    /// The cause of the opening, as the end of a sentence: `after 5 failures in a row`.
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
            Self::CancelledCalls { failures: 1, calls: None } => {
                f.write_str("after a call was cancelled without an answer")
            }
            Self::CancelledCalls { failures, calls: None } => {
                write!(f, "after {failures} calls in a row failed or were cancelled without an answer")
            }
            Self::CancelledCalls { failures, calls: Some(calls) } => {
                let share = percent(failures, calls);
                write!(f, "after {failures} of {calls} calls failed or were cancelled without an answer ({share} %)")
            }
            Self::Hung { calls: 1, limit } => write!(f, "because a call has not answered for {limit:?}"),
            Self::Hung { calls, limit } => write!(f, "because {calls} calls have not answered for {limit:?}"),
            Self::Cancelled { calls } => write!(f, "after {calls} calls were cancelled and none was answered"),
            Self::TrialFailed => f.write_str("after a failed trial call"),
            Self::Override => f.write_str("by a manual override"),
            other => fmt::Display::fmt(&other, f),
        })
    }
}

/// The duration in milliseconds, rounded up.
#[allow(clippy::cast_possible_truncation, reason = "checked")]
const fn whole_millis(duration: Duration) -> u32 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    if millis < MAX_COUNT as u128 { millis as u32 } else { MAX_COUNT }
}

/// The share in percent, rounded down, so that 100 means all.
fn percent(part: u32, whole: u32) -> u64 {
    (u64::from(part) * 100).checked_div(u64::from(whole)).unwrap_or(0)
}

const fn saturating(count: u32) -> u64 {
    (if count < MAX_COUNT { count } else { MAX_COUNT }) as u64
}

impl fmt::Debug for PackedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_preserves_a_reason() {
        for reason in [
            OpenReason::ConsecutiveFailures { failures: 5 },
            OpenReason::FailureRate { failures: 0, calls: MAX_COUNT },
            OpenReason::FailureRate { failures: MAX_COUNT, calls: 1 },
            OpenReason::SlowCallRate { slow: 3, calls: 10 },
            OpenReason::Hung { calls: 3, limit: Duration::from_secs(5) },
            OpenReason::Hung { calls: MAX_COUNT, limit: Duration::from_millis(MAX_COUNT.into()) },
            OpenReason::Cancelled { calls: 12 },
            OpenReason::CancelledCalls { failures: 3, calls: None },
            OpenReason::CancelledCalls { failures: MAX_COUNT, calls: Some(MAX_COUNT) },
            OpenReason::Override,
            OpenReason::TrialFailed,
            OpenReason::TrialsUnderWay,
            OpenReason::RampingUp,
            OpenReason::Forced,
        ] {
            assert_eq!(PackedReason::of(reason).reason(), reason);
            let is_operator_set = matches!(reason, OpenReason::Override | OpenReason::Forced);
            assert_eq!(PackedReason::of(reason).is_operator_set(), is_operator_set, "{reason:?}");
        }
    }

    #[test]
    fn packing_saturates_counts() {
        let packed = PackedReason::of(OpenReason::SlowCallRate { slow: u32::MAX, calls: MAX_COUNT + 1 });
        assert_eq!(packed.reason(), OpenReason::SlowCallRate { slow: MAX_COUNT, calls: MAX_COUNT });
    }
}
