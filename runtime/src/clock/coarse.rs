//! The coarse clock: a reading takes 2.5 ns instead of 16 ns, and is up to a few milliseconds late.
//!
//! It is Linux's `CLOCK_MONOTONIC_COARSE`, which the kernel updates at each timer tick. On other systems it is the exact clock. A clock that
//! a test can change is always exact: the fake clock, and tokio's clock in a program that is built with `tokio/test-util`.

use super::Moment;

/// The longest delay of a reading of Linux's clock, in microseconds: a timer tick of a kernel with 100 ticks per second.
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
    if IS_TEST_CLOCK { super::task_now() } else { system() }
}

#[cfg(target_os = "linux")]
#[inline]
fn system() -> Moment {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::time::{ClockId, clock_gettime};

    /// The difference between a reading of the clock and its moment, in microseconds; 0 before the first reading. Both clocks have the same
    /// origin.
    static OFFSET: AtomicU64 = AtomicU64::new(0);

    #[cold]
    fn first_offset() -> u64 {
        let (moment, exact) = (super::moment(std::time::Instant::now()), micros(ClockId::Monotonic));
        let offset = moment.as_micros().wrapping_sub(exact);
        // ORDERING: Relaxed: the offset is a number on its own. All threads use the first one, so that no reading is before another.
        match OFFSET.compare_exchange(0, offset, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => offset,
            Err(first) => first,
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than a second")]
    fn micros(clock: ClockId) -> u64 {
        let now = clock_gettime(clock);
        // A division of 32-bit numbers takes half as many instructions.
        let part = now.tv_nsec as u32 / 1_000;
        now.tv_sec.cast_unsigned().wrapping_mul(1_000_000).wrapping_add(part.into())
    }

    let offset = match OFFSET.load(Ordering::Relaxed) {
        0 => first_offset(),
        offset => offset,
    };
    Moment::from_micros(micros(ClockId::MonotonicCoarse).wrapping_add(offset))
}

#[cfg(not(target_os = "linux"))]
fn system() -> Moment {
    super::task_now()
}

/// True if the program is built with tokio's feature `test-util`, so that tokio's clock can be paused.
///
/// The feature adds the function `tokio::time::pause`. The innermost scope that declares a name determines its meaning: `pause` is tokio's
/// function if it exists, and the fallback otherwise. The two have different return types.
#[cfg(feature = "tokio")]
const IS_TEST_CLOCK: bool = {
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
const IS_TEST_CLOCK: bool = false;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_coarse_reading_is_late_by_at_most_a_timer_tick() {
        for _ in 0..1_000 {
            let before = clock::thread_now();
            let coarse = system();
            let after = clock::thread_now();
            // Two readings of the offset differ by the time between them.
            assert!(coarse.as_micros() <= after.as_micros() + 100, "{coarse:?} {after:?}");
            assert!(coarse.after(TICK + 100) >= before, "{coarse:?} {before:?}");
        }
    }
}
