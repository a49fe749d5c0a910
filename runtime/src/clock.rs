//! The monotonic clock by which all policies measure time.
//!
//! Times are in whole microseconds, so that a moment fits into an atomic `u64`. With the feature `tokio` the clock is tokio's, which a test
//! can pause and advance; with the feature `testing` a thread can enter a fake clock.

#[cfg(feature = "testing")]
pub(crate) mod fake;
mod system;

use std::time::Duration;

pub(crate) use self::system::{coarse, resolution};

/// A moment of the monotonic clock, in microseconds since an arbitrary origin, rounded down.
///
/// Since all readings are rounded down, a wait of whole microseconds ends exactly on time, even if it began between two microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The moment of the first reading. It is far from both ends of the range, because a test clock can be behind the first reading.
    pub(crate) const ORIGIN: Self = Self(1 << 62);

    /// A placeholder whose value is never used.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub(crate) const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `micros` microseconds later.
    pub(crate) const fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The time since `earlier`; zero if `earlier` is later.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in microseconds that can be absent, in half the size of an `Option<Duration>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptMicros(u64);

impl OptMicros {
    const NONE: u64 = u64::MAX;

    pub(crate) const fn new(micros: Option<u64>) -> Self {
        match micros {
            Some(micros) => Self(micros),
            None => Self(Self::NONE),
        }
    }

    pub(crate) const fn get(self) -> Option<Duration> {
        match self.0 {
            Self::NONE => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }
}

/// Converts a duration to microseconds, rounded up; at most `u64::MAX`.
pub(crate) const fn micros(wait: Duration) -> u64 {
    let rest = (wait.subsec_nanos() as u64).div_ceil(1_000);
    wait.as_secs().saturating_mul(1_000_000).saturating_add(rest)
}

/// The tolerated difference between the clocks of two cores, in microseconds: far more than occurs in practice, and less than the steps in
/// which tests advance their clocks.
#[cfg(any(test, feature = "testing"))]
const TOLERANCE: u64 = 10_000;

/// Returns true if the reading `now` is from a different clock than the earlier reading `latest`.
///
/// This occurs in tests that share a static: one test advances its clock, and the clock of the next test is behind. Stored moments would
/// then be in the future, and no time would seem to pass. With the feature `testing`, the code that stores moments discards or rebases
/// them in this case.
///
/// A reading of the same clock can also be behind, if its thread was suspended after the reading, for any length of time. Therefore
/// `again` reads the clock a second time: a reading of the same clock that is made after `latest` was loaded is not behind `latest`.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn is_different_clock(now: u64, latest: u64, again: impl FnOnce() -> u64) -> bool {
    let is_behind = |now: u64| latest.saturating_sub(now) > TOLERANCE;
    is_behind(now) && is_behind(again())
}

/// Returns false, since there is only one clock outside of tests.
#[cfg(not(any(test, feature = "testing")))]
pub(crate) fn is_different_clock(_: u64, _: u64, _: impl FnOnce() -> u64) -> bool {
    false
}

/// Reads the clock of the current task, or the fake clock that its thread has entered.
pub(crate) fn now() -> Moment {
    #[cfg(feature = "testing")]
    if let Some(now) = fake::now() {
        return now;
    }
    task_now()
}

/// Reads the same clock as [`now`], in microseconds.
pub(crate) fn now_micros() -> u64 {
    now().as_micros()
}

/// Reads the same clock as [`coarse`], in microseconds.
#[inline]
pub(crate) fn coarse_micros() -> u64 {
    coarse().as_micros()
}

/// Reads the clock of the current task, and returns a moment and an instant for tokio's timers. A fake clock affects only the moment.
#[cfg(feature = "tokio")]
pub(crate) fn now_and_timers() -> (Moment, tokio::time::Instant) {
    let instant = tokio::time::Instant::now();
    #[cfg(feature = "testing")]
    if let Some(now) = fake::now() {
        return (now, instant);
    }
    (system::moment(instant.into_std()), instant)
}

/// Reads the system's monotonic clock, by which blocking sleeps are timed, or the fake clock that this thread has entered.
pub(crate) fn thread_now() -> Moment {
    #[cfg(feature = "testing")]
    if let Some(now) = fake::now() {
        return now;
    }
    system::exact()
}

/// Reads tokio's clock, or the system's without the feature `tokio`.
pub(crate) fn task_now() -> Moment {
    #[cfg(feature = "tokio")]
    if system::IS_TEST_CLOCK {
        return system::moment(tokio::time::Instant::now().into_std());
    }
    system::exact()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_reading_distinguishes_a_late_thread_from_another_clock() {
        const HOUR: u64 = 3_600_000_000;
        for (now, latest, again, expected) in [
            (HOUR, HOUR, HOUR, false),
            (2 * HOUR, HOUR, 2 * HOUR, false),
            // Within the tolerance between cores.
            (HOUR - TOLERANCE, HOUR, HOUR - TOLERANCE, false),
            // The thread was suspended for an hour.
            (0, HOUR, HOUR, false),
            (0, HOUR, HOUR - TOLERANCE, false),
            (HOUR - TOLERANCE - 1, HOUR, HOUR - TOLERANCE - 1, true),
            (0, HOUR, 1, true),
            (0, u64::MAX, 0, true),
        ] {
            assert_eq!(is_different_clock(now, latest, || again), expected, "{now}, {latest}, {again}");
        }
    }

    #[test]
    fn a_reading_that_is_not_behind_is_not_repeated() {
        assert!(!is_different_clock(5, 5, || panic!("read again")));
    }
}
