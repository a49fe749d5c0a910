//! The time-based window of the calls of the last `n` microseconds, in 16 buckets.
//!
//! Counters count the calls of an epoch and are never decremented. A bucket starts with the first call after the previous bucket has ended;
//! at that moment a baseline stores the counters. The counts of the window are the differences between the counters and the first baseline
//! in the window. No call older than the window is counted, and a call in its oldest sixteenth may already be excluded; the first call of a
//! bucket leaves the window exactly on time.
//!
//! Baselines do not depend on the length of the window. When the length changes, the calls since the first baseline within the new length
//! remain counted.
//!
//! A reading of a different clock, which is behind the last baseline, discards all baselines.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Counts, Record, increment, load_count, order_by_rmw, retag};
use crate::{breaker::state::atomic::AtomicCell, clock};

/// The window described in the module documentation. A baseline takes 32 bytes.
#[derive(Debug, Default)]
pub(super) struct TimeWindow<A = AtomicU64> {
    // The counters, each tagged with the epoch.
    calls: A,
    failed: A,
    slow: A,
    /// The start of the current bucket. Before the first bucket, it is the generation of the baselines, which is earlier than any start.
    bucket_start: A,
    baselines: Mutex<Baselines>,
}

#[derive(Debug, Default)]
struct Baselines {
    epoch: u32,
    /// The number of times that the baselines have been discarded. It wraps.
    generation: u32,
    /// Oldest first.
    entries: VecDeque<Baseline>,
}

#[derive(Clone, Copy, Debug)]
struct Baseline {
    /// The start of the bucket, in microseconds.
    at: u64,
    /// The counters at that moment.
    counts: Counts,
}

/// The number of buckets in a window.
const BUCKETS: u64 = 16;

impl<A: AtomicCell> TimeWindow<A> {
    pub(super) fn reset(&self, epoch: u32) {
        for cell in [&self.calls, &self.failed, &self.slow] {
            retag(cell, epoch);
        }
        self.discard_baselines(Some(epoch));
    }

    /// Empties the window in the same epoch: the next call stores the first baseline.
    pub(super) fn clear(&self) {
        self.discard_baselines(None);
    }

    /// Discards the baselines and begins a new generation of them, in `epoch` if it is given.
    fn discard_baselines(&self, epoch: Option<u32>) {
        let generation = {
            let mut stored = self.baselines();
            stored.epoch = epoch.unwrap_or(stored.epoch);
            stored.generation = stored.generation.wrapping_add(1);
            stored.entries = VecDeque::new();
            stored.generation
        };
        self.expire_bucket(generation);
    }

    /// Moves the start of the bucket into the past, so that the next call starts a new bucket.
    fn expire_bucket(&self, generation: u32) {
        // This follows the change of the baselines: a thread that loads the new generation finds the baselines of that generation. A
        // delayed thread that stored a baseline before the change has loaded an earlier value, so its exchange fails.
        // ORDERING: AcqRel: an exchange instead of a store, so that it comes after the exchange of a delayed thread.
        let mut found = self.bucket_start.load(Ordering::Relaxed);
        while let Err(changed) =
            self.bucket_start.compare_exchange_weak(found, u64::from(generation), Ordering::AcqRel, Ordering::Relaxed)
        {
            found = changed;
        }
    }

    pub(super) fn record(&self, record: Record, epoch: u32, window: u64, now: impl Fn() -> u64) {
        let read = now();
        // ORDERING: Relaxed: the value only decides when the baselines are read, and a transition publishes it.
        let bucket = self.bucket_start.load(Ordering::Relaxed);
        if read.saturating_sub(bucket) >= bucket_length(window) || clock::is_different_clock(read, bucket, &now) {
            self.start_bucket(bucket, epoch, window, read, &now);
        }
        // Calls are counted before failures and read after them, so that a rate is never read too high.
        for (cell, counts) in [(&self.calls, true), (&self.failed, record.failed), (&self.slow, record.slow)] {
            if counts {
                _ = increment(cell, epoch);
            }
        }
        if record.is_adverse() {
            order_by_rmw(&self.calls);
        }
    }

    pub(super) fn counts(&self, epoch: u32, window: u64, now: impl Fn() -> u64) -> Counts {
        let read = now();
        let first = {
            let stored = self.baselines();
            let entries = &stored.entries;
            let is_different_clock =
                entries.back().is_some_and(|latest| clock::is_different_clock(read, latest.at, &now));
            if stored.epoch == epoch && !is_different_clock {
                entries.iter().find(|baseline| baseline.is_within(window, read)).copied()
            } else {
                None
            }
        };
        let Some(Baseline { counts: before, .. }) = first else { return Counts::default() };
        let (slow, failed) = (load_count(&self.slow, epoch), load_count(&self.failed, epoch));
        let (Some(slow), Some(failed), Some(calls)) = (slow, failed, load_count(&self.calls, epoch)) else {
            return Counts::default();
        };
        Counts {
            calls: calls.saturating_sub(before.calls),
            failed: failed.saturating_sub(before.failed),
            slow: slow.saturating_sub(before.slow),
        }
    }

    /// Starts a new bucket after the one that started at `bucket`, unless another thread has just done so.
    #[cold]
    fn start_bucket(&self, bucket: u64, epoch: u32, window: u64, read: u64, now: impl Fn() -> u64) {
        let counted = [&self.calls, &self.failed, &self.slow].map(|cell| load_count(cell, epoch));
        let [Some(calls), Some(failed), Some(slow)] = counted else { return };
        let baseline = Baseline { at: read, counts: Counts { calls, failed, slow } };
        let Some(start) = self.baselines().start_bucket(epoch, window, baseline, now) else { return };
        // ORDERING: AcqRel, as in `expire_bucket`. If the exchange fails, the next call reads the baselines again.
        _ = self.bucket_start.compare_exchange_weak(bucket, start, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn baselines(&self) -> MutexGuard<'_, Baselines> {
        self.baselines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Baselines {
    /// Stores a baseline if the previous bucket has ended. Returns the start of the current bucket; `None` if `epoch` has ended.
    fn start_bucket(&mut self, epoch: u32, window: u64, baseline: Baseline, now: impl Fn() -> u64) -> Option<u64> {
        if self.epoch != epoch {
            return None;
        }
        if let Some(latest) = self.entries.back().copied() {
            if clock::is_different_clock(baseline.at, latest.at, now) {
                self.entries.clear();
            } else if baseline.at.saturating_sub(latest.at) < bucket_length(window) {
                return Some(latest.at);
            }
        }
        while self.entries.pop_front_if(|first| !first.is_within(window, baseline.at)).is_some() {}
        self.entries.push_back(baseline);
        Some(baseline.at)
    }
}

impl Baseline {
    /// Returns true if the bucket that starts with this baseline is in the window.
    const fn is_within(&self, window: u64, now: u64) -> bool {
        now.saturating_sub(self.at) < window
    }
}

/// The minimum length of a bucket, in microseconds.
const fn bucket_length(window: u64) -> u64 {
    let length = window / BUCKETS;
    if length == 0 { 1 } else { length }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: u64 = 16_000_000;
    const NOW: u64 = 1 << 62;
    const HOUR: u64 = 3_600_000_000;

    fn record(window: &TimeWindow, now: u64) {
        window.record(Record { failed: true, slow: false }, 0, WINDOW, || now);
    }

    fn failed(window: &TimeWindow, now: u64) -> u64 {
        window.counts(0, WINDOW, || now).failed
    }

    #[test]
    fn a_different_clock_finds_the_window_empty() {
        let window = TimeWindow::default();
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
        assert_eq!(failed(&window, NOW + WINDOW - 1), 2);
        assert_eq!(failed(&window, NOW + WINDOW), 1, "the first call leaves exactly on time");
        assert_eq!(failed(&window, NOW + WINDOW + 5_000_000), 0);
        assert_eq!(failed(&window, NOW + HOUR), 0, "no call of the first clock is left");
    }

    #[test]
    fn a_stale_reading_is_not_a_different_clock() {
        let window = TimeWindow::default();
        record(&window, NOW);
        record(&window, NOW + WINDOW / 2);
        // The thread read the clock earlier, and reads it again.
        let readings = [NOW + 1_000, NOW + WINDOW / 2 + 1_000].map(AtomicU64::new);
        let read = std::cell::Cell::new(0);
        let stale_then_current = || readings[read.replace(1)].load(Ordering::Relaxed);
        window.record(Record { failed: true, slow: false }, 0, WINDOW, stale_then_current);
        assert_eq!(failed(&window, NOW + WINDOW / 2 + 1_000), 3);
        assert_eq!(failed(&window, NOW + WINDOW), 2, "the call counts from the moment at which it was recorded");
    }

    #[test]
    fn a_window_of_ten_billion_calls_is_exact() {
        const DAY: u64 = 24 * HOUR;
        let window = TimeWindow::default();
        record(&window, NOW);
        // Ten billion calls since then, of which one in five failed.
        window.calls.store(10_000_000_000, Ordering::Relaxed);
        window.failed.store(2_000_000_000, Ordering::Relaxed);
        window.record(Record { failed: true, slow: false }, 0, DAY, || NOW + HOUR);
        let counts = window.counts(0, DAY, || NOW + HOUR);
        assert_eq!(counts, Counts { calls: 10_000_000_001, failed: 2_000_000_001, slow: 0 });
    }

    #[test]
    fn calls_of_an_epoch_are_not_counted_in_another() {
        let window = TimeWindow::default();
        record(&window, NOW);
        for epoch in [1, 4_095, u32::MAX] {
            window.reset(epoch);
            assert_eq!(window.counts(epoch, WINDOW, || NOW), Counts::default(), "{epoch}");
            window.record(Record { failed: false, slow: true }, epoch, WINDOW, || NOW);
            let expected = Counts { calls: 1, failed: 0, slow: 1 };
            assert_eq!(window.counts(epoch, WINDOW, || NOW), expected, "{epoch}");
            record(&window, NOW);
            assert_eq!(
                window.counts(epoch, WINDOW, || NOW),
                expected,
                "{epoch}: a late call of an old epoch is not counted"
            );
        }
    }

    #[test]
    fn a_changed_length_keeps_the_calls_within_it() {
        const SECOND: u64 = 1_000_000;
        let window: TimeWindow = TimeWindow::default();
        let record = |length, seconds| {
            window.record(Record { failed: true, slow: false }, 0, length * SECOND, || NOW + seconds * SECOND);
        };
        let failed = |length, seconds| window.counts(0, length * SECOND, || NOW + seconds * SECOND).failed;
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
        let window = TimeWindow::default();
        for step in 0..100_000 {
            record(&window, NOW + step * 1_000_000);
        }
        assert!(window.baselines().entries.len() <= 17);
        assert!(window.baselines().entries.capacity() <= 32);
    }

    proptest! {
        /// After any sequence of clocks, the calls recorded under the current clock are counted for the length of the window, and no
        /// longer.
        #[test]
        fn a_change_of_clock_never_stops_the_window(
            steps in prop::collection::vec((prop::option::weighted(0.3, 0_u64..2 * HOUR), 0_u64..2_000_000), 1..60),
        ) {
            let window = TimeWindow::default();
            // `own` has the calls recorded since the clock was last set back.
            let (mut now, mut latest, mut own) = (NOW, NOW, Vec::new());
            for (other_clock, passed) in steps {
                now = other_clock.map_or(now, |ahead| NOW + ahead) + passed;
                if now < latest {
                    own.clear();
                }
                // A clock that is behind by less than a bucket can be the same clock.
                let is_unambiguous = now >= latest || now + WINDOW / 16 + 10_000 < latest;
                latest = now;
                record(&window, now);
                own.push(now);
                if !is_unambiguous {
                    break;
                }
                let since = |ago: u64| own.iter().filter(|at| **at > now.saturating_sub(ago)).count() as u64;
                let counted = failed(&window, now);
                prop_assert!((since(WINDOW / 16 * 15)..=since(WINDOW)).contains(&counted), "{counted} of {own:?} at {now}");
            }
            prop_assert_eq!(failed(&window, now + WINDOW + WINDOW / 16 + 10_000), 0);
        }
    }
}
