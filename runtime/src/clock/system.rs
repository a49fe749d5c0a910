//! Readings of the system's monotonic clock: exact ones, and coarse ones, which take 2.5 ns instead of 17 ns and are up to a few
//! milliseconds late.
//!
//! A coarse reading is one of Linux's `CLOCK_MONOTONIC_COARSE`, which the kernel updates at each timer tick. On other systems it is exact.
//! Readings of a clock that a test can change are always exact: the fake clock, and tokio's clock in a program that is built with
//! `tokio/test-util`.

#![cfg_attr(
    all(target_os = "linux", not(feature = "tokio")),
    allow(dead_code, reason = "only instants of tokio are converted")
)]

use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

use super::{Moment, micros};

/// The longest delay of a coarse reading, in microseconds: a timer tick of a kernel with 100 ticks per second.
#[cfg(target_os = "linux")]
const TICK: u64 = 10_000;
#[cfg(not(target_os = "linux"))]
const TICK: u64 = 0;

/// Returns the longest delay of a reading of [`coarse`], in microseconds.
pub(crate) fn resolution() -> u64 {
    #[cfg(feature = "testing")]
    if super::fake::now().is_some() {
        return 0;
    }
    if IS_TEST_CLOCK { 0 } else { TICK }
}

/// Reads the same clock as [`now`](super::now). The reading is at most [`resolution`] late, and never early.
#[inline]
pub(crate) fn coarse() -> Moment {
    #[cfg(feature = "testing")]
    if let Some(now) = super::fake::now() {
        return now;
    }
    if IS_TEST_CLOCK { super::task_now() } else { coarse_system() }
}

/// The moment of an instant.
pub(super) fn moment(instant: Instant) -> Moment {
    let start = START.instant;
    Moment(match instant.checked_duration_since(start) {
        Some(since) => Moment::ORIGIN.0.saturating_add(whole_micros(since)),
        // The moment is rounded down here, too, so the distance before the origin is rounded up.
        None => Moment::ORIGIN.0.saturating_sub(micros(start.duration_since(instant))),
    })
}

/// Converts a duration to microseconds, rounded down; at most `u64::MAX`. Unlike [`Duration::as_micros`], this needs no 128-bit arithmetic.
const fn whole_micros(since: Duration) -> u64 {
    since.as_secs().saturating_mul(1_000_000).saturating_add(since.subsec_micros() as u64)
}

/// The first reading of the clock.
struct Start {
    instant: Instant,
    /// The difference between a moment and its reading of Linux's clock, in microseconds.
    #[cfg(target_os = "linux")]
    offset: u64,
}

static START: Lazy<Start> = Lazy::new(Start::now);

#[cfg(not(target_os = "linux"))]
impl Start {
    fn now() -> Self {
        Self { instant: Instant::now() }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn exact() -> Moment {
    moment(Instant::now())
}

#[cfg(not(target_os = "linux"))]
fn coarse_system() -> Moment {
    exact()
}

#[cfg(target_os = "linux")]
use self::linux::coarse_system;
#[cfg(target_os = "linux")]
pub(super) use self::linux::exact;

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Instant;

    use rustix::time::{ClockId, clock_gettime};

    use super::{START, Start};
    use crate::clock::Moment;

    impl Start {
        /// Reads `Instant`'s clock between two readings of the same clock in microseconds.
        pub(super) fn now() -> Self {
            let read = || {
                let (before, instant, after) = (micros(ClockId::Monotonic), Instant::now(), micros(ClockId::Monotonic));
                // Rounded up, so that no reading is early.
                let offset = Moment::ORIGIN.as_micros().wrapping_sub(after.wrapping_add(1));
                (after.wrapping_sub(before), Self { instant, offset })
            };
            // A pair of readings differs by a microsecond at most, unless the thread was suspended between them.
            let (_, start) = (0..10).map(|_| read()).min_by_key(|(apart, _)| *apart).unwrap_or_else(read);
            start
        }
    }

    /// Reads the system's clock, in 17 ns. `moment(Instant::now())` takes 20 ns. The reading is late by at most 2 µs.
    ///
    /// Not inlined: a function that reads the clock only in some cases would save more registers in all.
    #[inline(never)]
    pub(in crate::clock) fn exact() -> Moment {
        moment(ClockId::Monotonic)
    }

    #[inline]
    pub(super) fn coarse_system() -> Moment {
        moment(ClockId::MonotonicCoarse)
    }

    #[inline]
    fn moment(clock: ClockId) -> Moment {
        // The offset is read last, so that it needs no register during the call.
        Moment::from_micros(micros(clock).wrapping_add(START.offset))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than a second")]
    fn micros(clock: ClockId) -> u64 {
        let now = clock_gettime(clock);
        // A division of 32-bit numbers takes half as many instructions.
        let part = now.tv_nsec as u32 / 1_000;
        now.tv_sec.cast_unsigned().wrapping_mul(1_000_000).wrapping_add(part.into())
    }
}

/// True if the program is built with tokio's feature `test-util`, so that tokio's clock can be paused.
///
/// The feature adds the function `tokio::time::pause`. The innermost scope that declares a name determines its meaning: `pause` is tokio's
/// function if it exists, and the fallback otherwise. The two have different return types.
#[cfg(feature = "tokio")]
pub(super) const IS_TEST_CLOCK: bool = {
    trait IsTokio {
        const VALUE: bool;
    }
    struct Absent;
    impl IsTokio for Absent {
        const VALUE: bool = false;
    }
    impl IsTokio for () {
        const VALUE: bool = true;
    }
    const fn is_tokio<R: IsTokio>(_: fn() -> R) -> bool {
        R::VALUE
    }

    #[allow(dead_code, reason = "shadowed if tokio has the function")]
    fn pause() -> Absent {
        Absent
    }

    {
        #[allow(unused_imports, clippy::wildcard_imports, reason = "the name need not exist")]
        use tokio::time::*;

        is_tokio(pause)
    }
};
#[cfg(not(feature = "tokio"))]
pub(super) const IS_TEST_CLOCK: bool = false;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_late_by_at_most_their_resolution() {
        for _ in 0..1_000 {
            let before = moment(Instant::now());
            let (exact, coarse) = (exact(), coarse_system());
            let after = moment(Instant::now());
            // The offset is exact unless the first reading of the clock was interrupted.
            let error = 100;
            assert!(exact <= after && exact.after(error) >= before, "{before:?} {exact:?} {after:?}");
            assert!(coarse <= after && coarse.after(TICK + error) >= before, "{before:?} {coarse:?} {after:?}");
        }
    }
}
