//! The time-based window of the calls of the last `n` microseconds in 16 buckets, as a value.
//!
//! The counts of an epoch are never decremented. A bucket starts with the first call after the previous bucket has ended; at that moment a
//! baseline stores the counts. The counts of the window are the differences between the counts and the first baseline in the window. No call
//! older than the window is counted, and a call in its oldest sixteenth may already be excluded; the first call of a bucket leaves the window
//! exactly on time.
//!
//! Baselines do not depend on the length of the window. When the length changes, the calls since the first baseline within the new length
//! remain counted.
//!
//! A reading of a different clock, which is behind the last baseline, discards all baselines.

use std::collections::VecDeque;

use super::Counts;
use crate::clock;

/// The window described in the module documentation. A baseline takes 32 bytes.
#[derive(Debug, Default)]
pub(crate) struct TimeWindow {
    /// Oldest first.
    baselines: VecDeque<Baseline>,
}

#[derive(Clone, Copy, Debug)]
struct Baseline {
    /// The start of the bucket, in microseconds.
    at: u64,
    /// The counts at that moment.
    counts: Counts,
}

/// The number of buckets in a window.
const BUCKETS: u64 = 16;

impl TimeWindow {
    /// Starts a bucket with the counts `total` if the previous one has ended, and returns true. `now` was read after the last change.
    pub(crate) fn start_bucket(&mut self, total: Counts, window: u64, now: u64) -> bool {
        if self.is_of_different_clock(now) {
            self.baselines.clear();
        }
        if self.baselines.back().is_some_and(|latest| !has_ended(latest.at, window, now)) {
            return false;
        }
        while self.baselines.pop_front_if(|first| !first.is_within(window, now)).is_some() {}
        self.baselines.push_back(Baseline { at: now, counts: total });
        true
    }

    /// The counts of the window if those of the epoch are `total`. `now` was read after the last change.
    pub(crate) fn counts(&self, total: Counts, window: u64, now: u64) -> Counts {
        if self.is_of_different_clock(now) {
            return Counts::default();
        }
        let first = self.baselines.iter().find(|baseline| baseline.is_within(window, now));
        first.map_or_else(Counts::default, |Baseline { counts: before, .. }| Counts {
            calls: total.calls.saturating_sub(before.calls),
            failed: total.failed.saturating_sub(before.failed),
            slow: total.slow.saturating_sub(before.slow),
        })
    }

    /// Returns true if the baselines are of a different clock than the reading `now`.
    fn is_of_different_clock(&self, now: u64) -> bool {
        self.baselines.back().is_some_and(|latest| clock::is_different_clock(now, latest.at, || now))
    }
}

impl Baseline {
    /// Returns true if the bucket that starts with this baseline is in the window.
    const fn is_within(&self, window: u64, now: u64) -> bool {
        now.saturating_sub(self.at) < window
    }
}

/// Returns true if a bucket that started at `start` has ended. Times are in microseconds; a window has at least a thousand.
#[inline]
pub(crate) const fn has_ended(start: u64, window: u64, now: u64) -> bool {
    now.saturating_sub(start) >= window / BUCKETS
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;
    use crate::breaker::window::{Record, Window, WindowSize};

    const LENGTH: u64 = 16_000_000;
    const SIZE: WindowSize = WindowSize::Time(LENGTH);
    const NOW: u64 = 1 << 62;
    const HOUR: u64 = 3_600_000_000;
    const FAILURE: Record = Record { failed: true, slow: false };

    fn window() -> Window {
        Window::new(0, SIZE, true)
    }

    fn record(window: &Window, now: u64) {
        window.record_adverse(FAILURE, 1, 0, SIZE, || now);
    }

    fn failed(window: &Window, now: u64) -> u64 {
        window.counts(0, SIZE, || now).failed
    }

    #[test]
    fn a_different_clock_finds_the_window_empty() {
        let window = window();
        // The first clock passes the readings of the other, and ends ahead of it.
        for ahead in [0, 5_000_000, HOUR] {
            record(&window, NOW + ahead);
        }
        for now in [NOW, NOW + 5_000_000] {
            assert_eq!(failed(&window, now), 0, "empty before the first record of the other clock");
        }
        assert_eq!(failed(&window, NOW + HOUR), 1, "a read changes nothing");
        record(&window, NOW);
        assert_eq!(failed(&window, NOW), 1);
        record(&window, NOW + 5_000_000);
        assert_eq!(failed(&window, NOW + 5_000_000), 2);
        assert_eq!(failed(&window, NOW + LENGTH - 1), 2);
        assert_eq!(failed(&window, NOW + LENGTH), 1, "the first call leaves exactly on time");
        assert_eq!(failed(&window, NOW + LENGTH + 5_000_000), 0);
        assert_eq!(failed(&window, NOW + HOUR), 0, "no call of the first clock is left");
    }

    #[test]
    fn a_stale_reading_is_not_a_different_clock() {
        let window = window();
        record(&window, NOW);
        record(&window, NOW + LENGTH / 2);
        // The thread read the clock earlier, and reads it again.
        let stale = || NOW + 1_000;
        window.record_success(0, SIZE, stale, || NOW + LENGTH / 2 + 1_000);
        assert_eq!(window.counts(0, SIZE, || NOW + LENGTH / 2 + 1_000).calls, 3);
        let counts = window.counts(0, SIZE, || NOW + LENGTH);
        assert_eq!(counts, Counts { calls: 2, failed: 1, slow: 0 }, "the success counts from the moment of its record");
    }

    #[test]
    fn a_window_of_ten_billion_calls_is_exact() {
        let mut window = TimeWindow::default();
        let counts = |calls, failed| Counts { calls, failed, slow: 0 };
        window.start_bucket(counts(7, 3), 24 * HOUR, NOW);
        // Ten billion calls since then, of which one in five failed.
        let total = counts(10_000_000_007, 2_000_000_003);
        window.start_bucket(total, 24 * HOUR, NOW + 2 * HOUR);
        assert_eq!(window.counts(total, 24 * HOUR, NOW + 2 * HOUR), counts(10_000_000_000, 2_000_000_000));
    }

    #[test]
    fn a_changed_length_keeps_the_calls_within_it() {
        const SECOND: u64 = 1_000_000;
        let window = window();
        let record = |length, seconds| {
            window.record_adverse(FAILURE, 1, 0, WindowSize::Time(length * SECOND), || NOW + seconds * SECOND);
        };
        let failed =
            |length, seconds| window.counts(0, WindowSize::Time(length * SECOND), || NOW + seconds * SECOND).failed;
        for second in 0..60 {
            record(60, second);
        }
        assert_eq!([failed(60, 59), failed(90, 59)], [60, 60]);
        // A bucket has 3.75 s: every fourth call starts one, and only the one from second 56 starts in the last 5 s.
        assert_eq!(failed(5, 59), 4);
        for second in 60..90 {
            record(90, second);
        }
        assert_eq!(failed(90, 89), 90);
        assert_eq!(failed(60, 89), 58, "the calls after second 29, in whole buckets");
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = TimeWindow::default();
        for step in 0..100_000 {
            window.start_bucket(Counts::default(), LENGTH, NOW + step * 1_000_000);
        }
        assert!(window.baselines.len() <= 17);
        assert!(window.baselines.capacity() <= 32);
    }

    #[test]
    fn only_a_window_of_a_second_and_more_reads_the_coarse_clock() {
        for (length, is_coarse) in [(1_000, false), (999_999, false), (1_000_000, true), (HOUR, true)] {
            let window = window();
            let reads = Cell::new(0);
            let coarse = || {
                reads.set(reads.get() + 1);
                NOW
            };
            window.record_success(0, WindowSize::Time(length), coarse, || NOW);
            assert_eq!(reads.get() == 1, is_coarse, "{length}");
        }
    }

    proptest! {
        /// After any sequence of clocks, the calls recorded under the current clock are counted for the length of the window, and no
        /// longer.
        #[test]
        fn a_change_of_clock_never_stops_the_window(
            steps in prop::collection::vec((prop::option::weighted(0.3, 0_u64..2 * HOUR), 0_u64..2_000_000), 1..60),
        ) {
            let window = window();
            // `own` has the calls recorded since the clock was last set back.
            let (mut now, mut latest, mut own) = (NOW, NOW, Vec::new());
            for (other_clock, passed) in steps {
                now = other_clock.map_or(now, |ahead| NOW + ahead) + passed;
                if now < latest {
                    own.clear();
                }
                // A clock that is behind by less than a bucket can be the same clock.
                let is_unambiguous = now >= latest || now + LENGTH / 16 + 10_000 < latest;
                latest = now;
                record(&window, now);
                own.push(now);
                if !is_unambiguous {
                    break;
                }
                let since = |ago: u64| own.iter().filter(|at| **at > now.saturating_sub(ago)).count() as u64;
                let counted = failed(&window, now);
                prop_assert!((since(LENGTH / 16 * 15)..=since(LENGTH)).contains(&counted), "{counted} of {own:?} at {now}");
            }
            prop_assert_eq!(failed(&window, now + LENGTH + LENGTH / 16 + 10_000), 0);
        }

        /// No call older than the window is counted, and each call is counted for at least fifteen sixteenths of the window, less the
        /// lateness of the coarse clock.
        #[test]
        fn a_coarse_clock_never_lengthens_the_window(
            tick in 1_u64..=10_000,
            steps in prop::collection::vec((0_u64..40_000, any::<bool>()), 1..200),
        ) {
            const LENGTH: u64 = 1_000_000;
            let (window, size) = (window(), WindowSize::Time(LENGTH));
            let (mut now, mut calls) = (NOW, Vec::new());
            for (passed, fails) in steps {
                now += passed;
                calls.push(now);
                let since = |ago: u64| calls.iter().filter(|at| **at > now - ago).count() as u64;
                let counts = if fails {
                    window.record_adverse(FAILURE, 1, 0, size, || now)
                } else {
                    window.record_success(0, size, || now / tick * tick, || now);
                    window.counts(0, size, || now)
                };
                let expected = since(LENGTH / 16 * 15 - tick)..=since(LENGTH);
                prop_assert!(expected.contains(&counts.calls), "{counts:?}, {expected:?}");
            }
        }
    }
}
