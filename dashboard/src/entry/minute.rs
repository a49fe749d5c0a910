//! The counts of the last minute, by kind.

use serde::Serialize;

use super::fields::{Field, optional};
use crate::history::{COUNTS, Minute};

/// Outcomes of calls from the point of view of callers: of the functions with a fallback around a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Callers {
    /// Calls that succeeded without a fallback.
    pub(crate) answered: u64,
    /// Calls that a fallback answered.
    pub(crate) fallback: u64,
    /// Calls that returned an error or panicked.
    pub(crate) failed: u64,
    /// Calls that were dropped before they ended.
    pub(crate) cancelled: u64,
}

/// Outcomes of the last minute over all functions, as their callers see them. Each fallback is counted once, even if several breakers are in
/// its stack; breakers and groups in no fallback's stack have their own calls counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AllCallers {
    /// The longest time that one of the parts covers, in seconds.
    seconds: u64,
    answered: u64,
    fallback: u64,
    failed: u64,
    /// Rejected, ignored: the calls of breakers without a fallback only.
    rejected: u64,
    ignored: u64,
    cancelled: u64,
}

/// The last minute of a breaker or of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct BreakerMinute {
    seconds: u64,
    successes: u64,
    failures: u64,
    rejections: u64,
    ignored: u64,
    cancelled: u64,
    p99: Option<f64>,
    callers: Option<Callers>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RetryMinute {
    seconds: u64,
    calls: u64,
    retried: u64,
    failed: u64,
    attempts: u64,
    cancelled: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LimitMinute {
    seconds: u64,
    admitted: u64,
    rejected: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FallbackMinute {
    seconds: u64,
    answered: u64,
    fallback: u64,
    failed: u64,
    cancelled: u64,
    panicked: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TimeoutMinute {
    seconds: u64,
    timed_out: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct BudgetMinute {
    seconds: u64,
    withdrawn: u64,
    denied: u64,
}

optional!(Callers, BreakerMinute, RetryMinute, LimitMinute, FallbackMinute, TimeoutMinute, BudgetMinute);

impl Callers {
    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.fallback += other.fallback;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }

    /// Returns the outcomes in the counts of a fallback.
    pub(crate) fn of(counts: &[u64; COUNTS]) -> Self {
        let [answered, fallback, failed, cancelled, _] = *counts;
        Self { answered, fallback, failed, cancelled }
    }
}

impl AllCallers {
    pub(crate) fn add_fallback(&mut self, minute: &FallbackMinute) {
        self.seconds = self.seconds.max(minute.seconds);
        self.answered += minute.answered;
        self.fallback += minute.fallback;
        self.failed += minute.failed + minute.panicked;
        self.cancelled += minute.cancelled;
    }

    /// Adds the calls of a breaker or a group that no fallback is around.
    pub(crate) fn add_breaker(&mut self, minute: &BreakerMinute) {
        self.seconds = self.seconds.max(minute.seconds);
        self.answered += minute.successes;
        self.failed += minute.failures;
        self.rejected += minute.rejections;
        self.ignored += minute.ignored;
        self.cancelled += minute.cancelled;
    }
}

impl BreakerMinute {
    pub(crate) fn new(minute: &Minute, callers: Option<Callers>) -> Self {
        let Minute { seconds, counts: [successes, failures, rejections, ignored, cancelled], p99 } = *minute;
        let p99 = p99.map(micros);
        Self { seconds, successes, failures, rejections, ignored, cancelled, p99, callers }
    }

    /// Returns the number of failures and rejections.
    pub(crate) fn troubles(&self) -> u64 {
        self.failures.saturating_add(self.rejections)
    }
}

impl From<Minute> for RetryMinute {
    fn from(Minute { seconds, counts: [calls, retried, failed, attempts, cancelled], .. }: Minute) -> Self {
        Self { seconds, calls, retried, failed, attempts, cancelled }
    }
}

impl From<Minute> for LimitMinute {
    fn from(Minute { seconds, counts: [admitted, rejected, ..], .. }: Minute) -> Self {
        Self { seconds, admitted, rejected }
    }
}

impl From<Minute> for FallbackMinute {
    fn from(Minute { seconds, counts: [answered, fallback, failed, cancelled, panicked], .. }: Minute) -> Self {
        Self { seconds, answered, fallback, failed: failed.saturating_sub(panicked), cancelled, panicked }
    }
}

impl From<Minute> for TimeoutMinute {
    fn from(Minute { seconds, counts: [timed_out, ..], .. }: Minute) -> Self {
        Self { seconds, timed_out }
    }
}

impl From<Minute> for BudgetMinute {
    fn from(Minute { seconds, counts: [withdrawn, denied, ..], .. }: Minute) -> Self {
        Self { seconds, withdrawn, denied }
    }
}

/// Rounds a duration in seconds to microseconds.
fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
