//! The one place that reads a clock.
//!
//! Time is monotonic and counted in whole microseconds, so that a moment fits into the breaker's state word beside
//! everything else. With the `tokio` feature the reading is tokio's, which a test can pause and move.

use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

/// A moment of the monotonic clock, in microseconds since an arbitrary origin.
///
/// Rounded down, as is every wait that is compared with a difference of two moments: a wait of whole microseconds
/// therefore ends exactly when it should, whatever fraction of a microsecond it began at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The moment that the others are counted from. It leaves room on both sides: a paused clock of a test may have
    /// stopped before the first reading.
    pub(crate) const ORIGIN: Self = Self(1 << 62);

    /// No moment in particular, for what nobody reads.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub(crate) const fn as_micros(self) -> u64 {
        self.0
    }

    /// So many microseconds later.
    pub(crate) const fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// How long ago `earlier` was; zero if it was not.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The length of a wait in microseconds, rounded up, at most `u64::MAX`.
pub(crate) const fn micros(wait: Duration) -> u64 {
    let rest = (wait.subsec_nanos() as u64).div_ceil(1_000);
    wait.as_secs().saturating_mul(1_000_000).saturating_add(rest)
}

/// A number of microseconds, or none: half the size of an `Option<Duration>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Micros(u64);

impl Micros {
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

/// By how much cores may disagree about the time, in microseconds: far more than they do where an operating system looks after it,
/// and less than a test moves its clock by.
const APART: u64 = 10_000;

/// Whether the clock that says `now` is another than the one that has said `latest`: as the clock of a test is that begins after one
/// whose clock was moved on. What the one before it has counted is of no use to it: there, time would stand still.
///
/// A thread that was stopped after it had read the clock is late with what it has read, and be that by hours; so the clock is read
/// `again` before that is believed. Nobody sees a moment before it has come: by the same clock, what is read after `latest` was seen
/// is not behind it.
pub(crate) fn is_different_clock(now: u64, latest: u64, again: impl FnOnce() -> u64) -> bool {
    let is_behind = |now: u64| latest.saturating_sub(now) > APART;
    is_behind(now) && is_behind(again())
}

/// Reads the clock of the task: tokio's, which a test can pause and move.
pub(crate) fn now() -> Moment {
    #[cfg(feature = "testing")]
    if let Some(now) = crate::testing::now() {
        return now;
    }
    task_now()
}

/// The same as a number.
pub(crate) fn now_micros() -> u64 {
    now().as_micros()
}

/// Reads the clock of the task once, for a moment and for a timer.
#[cfg(feature = "tokio")]
pub(crate) fn now_and_timers() -> (Moment, tokio::time::Instant) {
    let instant = tokio::time::Instant::now();
    #[cfg(feature = "testing")]
    if let Some(now) = crate::testing::now() {
        return (now, instant);
    }
    (moment(instant.into_std()), instant)
}

/// Reads the clock by which threads sleep.
pub(crate) fn thread_now() -> Moment {
    #[cfg(feature = "testing")]
    if let Some(now) = crate::testing::now() {
        return now;
    }
    moment(Instant::now())
}

/// Reads tokio's clock, where there is one.
pub(crate) fn task_now() -> Moment {
    #[cfg(feature = "tokio")]
    return moment(tokio::time::Instant::now().into_std());
    #[cfg(not(feature = "tokio"))]
    return moment(Instant::now());
}

fn moment(now: Instant) -> Moment {
    static START: Lazy<Instant> = Lazy::new(Instant::now);

    let start = *START;
    Moment(match now.checked_duration_since(start) {
        Some(since) => Moment::ORIGIN.0.saturating_add(whole_micros(since)),
        // Down as well, which is up from this side.
        None => Moment::ORIGIN.0.saturating_sub(micros(start.duration_since(now))),
    })
}

/// Rounded down, and at most `u64::MAX`; without the 128 bits of [`Duration::as_micros`].
const fn whole_micros(since: Duration) -> u64 {
    since.as_secs().saturating_mul(1_000_000).saturating_add(since.subsec_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_tells_a_late_thread_from_another_clock() {
        const HOUR: u64 = 3_600_000_000;
        for (now, latest, again, expected) in [
            (HOUR, HOUR, HOUR, false),
            (2 * HOUR, HOUR, 2 * HOUR, false),
            // Cores disagree.
            (HOUR - APART, HOUR, HOUR - APART, false),
            // It was stopped for an hour, and others went on.
            (0, HOUR, HOUR, false),
            (0, HOUR, HOUR - APART, false),
            (HOUR - APART - 1, HOUR, HOUR - APART - 1, true),
            (0, HOUR, 1, true),
            (0, u64::MAX, 0, true),
        ] {
            assert_eq!(is_different_clock(now, latest, || again), expected, "{now}, {latest}, {again}");
        }
    }

    #[test]
    fn a_clock_that_is_not_behind_is_not_read_again() {
        assert!(!is_different_clock(5, 5, || panic!("read again")));
    }
}
