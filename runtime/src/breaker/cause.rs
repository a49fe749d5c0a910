//! Why calls are rejected, in one number: the state carries it, so that a rejection can say it without a lock.

use std::fmt;

use super::{OpenReason, window::FIGURE_BITS};

/// An [`OpenReason`] with its figures, packed: a rejection carries it, and few are ever asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedReason(u64);

const COUNT_BITS: u32 = FIGURE_BITS;
const MOST: u32 = (1 << COUNT_BITS) - 1;

/// A rule without figures; the count tells which.
const PLAIN: u64 = 0;
const CONSECUTIVE: u64 = 1;
const FAILURE_RATE: u64 = 2;
const SLOW_CALL_RATE: u64 = 3;

// None is 0: that stands for no reason.
const INTERVENTION: u32 = 1;
const TRIAL_FAILED: u32 = 2;
const TRIALS_UNDER_WAY: u32 = 3;
const RAMPING_UP: u32 = 4;
const FORCED: u32 = 5;

impl PackedReason {
    pub(super) const FORCED: Self = Self::of(OpenReason::Forced);
    pub(super) const RAMPING_UP: Self = Self::of(OpenReason::RampingUp);
    pub(super) const TRIALS_UNDER_WAY: Self = Self::of(OpenReason::TrialsUnderWay);
    pub(super) const TRIAL_FAILED: Self = Self::of(OpenReason::TrialFailed);
    pub(super) const INTERVENTION: Self = Self::of(OpenReason::Override);
    /// Of a state that is not open.
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn of(reason: OpenReason) -> Self {
        let (rule, count, calls) = match reason {
            OpenReason::ConsecutiveFailures { failures } => (CONSECUTIVE, failures, 0),
            OpenReason::FailureRate { failures, calls } => (FAILURE_RATE, failures, calls),
            OpenReason::SlowCallRate { slow, calls } => (SLOW_CALL_RATE, slow, calls),
            OpenReason::Override => (PLAIN, INTERVENTION, 0),
            OpenReason::TrialFailed => (PLAIN, TRIAL_FAILED, 0),
            OpenReason::TrialsUnderWay => (PLAIN, TRIALS_UNDER_WAY, 0),
            OpenReason::RampingUp => (PLAIN, RAMPING_UP, 0),
            OpenReason::Forced => (PLAIN, FORCED, 0),
        };
        Self((rule << COUNT_BITS | held(count)) << COUNT_BITS | held(calls))
    }

    #[allow(clippy::cast_possible_truncation, reason = "30 bits")]
    pub(super) const fn reason(self) -> OpenReason {
        let (count, calls) = ((self.0 >> COUNT_BITS) as u32 & MOST, self.0 as u32 & MOST);
        match (self.0 >> (2 * COUNT_BITS), count) {
            (CONSECUTIVE, failures) => OpenReason::ConsecutiveFailures { failures },
            (FAILURE_RATE, failures) => OpenReason::FailureRate { failures, calls },
            (SLOW_CALL_RATE, slow) => OpenReason::SlowCallRate { slow, calls },
            (_, INTERVENTION) => OpenReason::Override,
            (_, TRIAL_FAILED) => OpenReason::TrialFailed,
            (_, TRIALS_UNDER_WAY) => OpenReason::TrialsUnderWay,
            (_, RAMPING_UP) => OpenReason::RampingUp,
            _ => OpenReason::Forced,
        }
    }

    /// Whether somebody outside has decided it, who may have said something about it.
    pub(super) fn is_operator_set(self) -> bool {
        self == Self::FORCED || self == Self::INTERVENTION
    }
}

const fn held(count: u32) -> u64 {
    (if count < MOST { count } else { MOST }) as u64
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
    fn a_reason_comes_back_as_it_was_packed() {
        for reason in [
            OpenReason::ConsecutiveFailures { failures: 5 },
            OpenReason::FailureRate { failures: 0, calls: MOST },
            OpenReason::FailureRate { failures: MOST, calls: 1 },
            OpenReason::SlowCallRate { slow: 3, calls: 10 },
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
    fn what_is_too_much_to_count_stays_the_most() {
        let much = PackedReason::of(OpenReason::SlowCallRate { slow: u32::MAX, calls: MOST + 1 });
        assert_eq!(much.reason(), OpenReason::SlowCallRate { slow: MOST, calls: MOST });
    }
}
