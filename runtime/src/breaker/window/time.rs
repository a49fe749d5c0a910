//! The calls of the last so many seconds, in buckets.
//!
//! A bucket is a power of two of microseconds, the largest of which at least 16 make a window; there are 64 in a ring.
//! What a window holds are the buckets that began within it. So nothing older than the window counts, and what is up to
//! a sixteenth of it younger may have left. Periods are counted from the first call, which leaves exactly in time.
//!
//! With another clock they are counted from its first call, and on from where they were, after so many that nothing from before
//! is in a window any more. So nobody has to empty it here either.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Counts, Record, count, line_up};
use crate::{breaker::shared::AtomicCell, clock};

/// See the module.
#[derive(Debug)]
pub(super) struct TimeWindow<A = AtomicU64> {
    /// The moment from which periods are counted; 0 before the first call.
    origin: A,
    /// When the latest period began that a call was recorded in, since the origin.
    reached: A,
    calls: [A; BUCKETS],
    failed: [A; BUCKETS],
    slow: [A; BUCKETS],
}

const BUCKETS: usize = 64;
/// A window has at least this many buckets, and fewer than twice as many.
const FEWEST: u32 = 16;

// What a number carries besides itself: the epoch, how long the period is, and which one it is.
const WIDTH_BITS: u32 = 6;
const PERIOD_BITS: u32 = 22;
const COUNT_BITS: u32 = 24;
const PERIOD_MASK: u64 = (1 << PERIOD_BITS) - 1;

impl<A: AtomicCell + Default> Default for TimeWindow<A> {
    fn default() -> Self {
        let cells = || array::from_fn(|_| A::default());
        Self { origin: A::default(), reached: A::default(), calls: cells(), failed: cells(), slow: cells() }
    }
}

impl<A: AtomicCell> TimeWindow<A> {
    pub(super) fn record(
        &self,
        record: Record,
        epoch: u16,
        window: u64,
        now: impl Fn() -> u64,
        is_current: impl Fn() -> bool,
    ) {
        let width = width(window);
        let first = now();
        let origin = self.origin(first, width, &now);
        let period_of = |now: u64| now.saturating_sub(origin) >> width;
        let period = period_of(first);
        self.reach(period << width);
        let (index, tag) = (bucket(period), tag(epoch, width, period));
        // A call that was held up for two windows finds a later period in its place. Periods are kept modulo a few million,
        // and so what looks later is so only if that much time has passed by now.
        let is_later = |found: u64| {
            let ahead = found.wrapping_sub(tag) & PERIOD_MASK;
            found >> PERIOD_BITS == tag >> PERIOD_BITS && ahead <= period_of(now()).saturating_sub(period)
        };
        // Calls before failures, and read the other way round: a share is never read too high.
        for (cells, counts) in [(&self.calls, true), (&self.failed, record.failed), (&self.slow, record.slow)] {
            if counts && let Some(cell) = cells.get(index) {
                _ = count(cell, tag, COUNT_BITS, |found| !is_later(found) && is_current());
            }
        }
        if record.is_held_against() {
            line_up(&self.origin);
        }
    }

    pub(super) fn counts(&self, epoch: u16, window: u64, now: impl Fn() -> u64) -> Counts {
        // ORDERING: Relaxed: the numbers stand alone.
        let (origin, reached) = (self.origin.load(Ordering::Relaxed), self.reached.load(Ordering::Relaxed));
        let read = now();
        if origin == 0 || clock::is_another(read, origin.saturating_add(reached), now) {
            return Counts::default();
        }
        let width = width(window);
        let since_origin = read.saturating_sub(origin);
        let last = since_origin >> width;
        // The first period that began after the window did.
        let first = (since_origin + 1).checked_sub(window).map_or(0, |start| start.div_ceil(1 << width));
        let sum = |cells: &[A; BUCKETS]| {
            let counts = (first..=last).filter_map(|period| {
                // ORDERING: Acquire pairs with the AcqRel of `count`: whoever sees a failure sees its call.
                let found = cells.get(bucket(period))?.load(Ordering::Acquire);
                (found >> COUNT_BITS == tag(epoch, width, period)).then_some(found & ((1 << COUNT_BITS) - 1))
            });
            counts.sum()
        };
        let (slow, failed) = (sum(&self.slow), sum(&self.failed));
        Counts { calls: sum(&self.calls), failed, slow }
    }

    /// The moment from which periods are counted, by the clock that says `now`.
    fn origin(&self, now: u64, width: u32, again: impl FnOnce() -> u64) -> u64 {
        // ORDERING: Relaxed: the numbers stand alone. An old one beside a new one is only seen while another clock takes over, and
        // makes that happen again or not at all.
        let (found, reached) = (self.origin.load(Ordering::Relaxed), self.reached.load(Ordering::Relaxed));
        let begun = if found == 0 {
            0
        } else if clock::is_another(now, found.saturating_add(reached), again) {
            // Tags don't know more of a period than this.
            (((reached >> width) + BUCKETS as u64) & PERIOD_MASK) << width
        } else {
            return found;
        };
        let origin = now.saturating_sub(begun).max(1);
        match swap(&self.origin, found, origin) {
            Ok(()) => {
                _ = swap(&self.reached, reached, begun);
                origin
            }
            Err(first) => first,
        }
    }

    /// Notes that a call was recorded in the period that began then.
    fn reach(&self, start: u64) {
        // ORDERING: Relaxed: the number stands alone.
        let mut found = self.reached.load(Ordering::Relaxed);
        while found < start {
            match self.reached.compare_exchange_weak(found, start, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(further) => found = further,
            }
        }
    }
}

/// Puts `new` in the place of `old`; `Err` has what stands there instead.
fn swap<A: AtomicCell>(cell: &A, old: u64, new: u64) -> Result<(), u64> {
    loop {
        // ORDERING: Relaxed, as in `origin`.
        match cell.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(found) if found == old => {}
            Err(found) => return Err(found),
        }
    }
}

/// The width of a period as a power of two of microseconds.
fn width(window: u64) -> u32 {
    (window / u64::from(FEWEST)).max(1).ilog2()
}

#[allow(clippy::cast_possible_truncation, reason = "the remainder is small")]
const fn bucket(period: u64) -> usize {
    (period % BUCKETS as u64) as usize
}

const fn tag(epoch: u16, width: u32, period: u64) -> u64 {
    ((epoch as u64) << WIDTH_BITS | width as u64) << PERIOD_BITS | period & PERIOD_MASK
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: u64 = 16_000_000;
    const NOW: u64 = 1 << 62;
    const HOUR: u64 = 3_600_000_000;

    fn record(window: &TimeWindow, now: u64) {
        window.record(Record { failed: true, slow: false }, 0, WINDOW, || now, || true);
    }

    fn failed(window: &TimeWindow, now: u64) -> u64 {
        window.counts(0, WINDOW, || now).failed
    }

    #[test]
    fn by_another_clock_it_is_empty() {
        let window = TimeWindow::default();
        // It ends up in the future, and has been where the other one will be.
        for moved in [0, 5_000_000, HOUR] {
            record(&window, NOW + moved);
        }
        for now in [NOW, NOW + 5_000_000] {
            assert_eq!(failed(&window, now), 0, "looking, it is empty already");
        }
        assert_eq!(failed(&window, NOW + HOUR), 1, "and looking changes nothing");
        record(&window, NOW);
        assert_eq!(failed(&window, NOW), 1);
        record(&window, NOW + 5_000_000);
        assert_eq!(failed(&window, NOW + 5_000_000), 2);
        assert_eq!(failed(&window, NOW + WINDOW - 1), 2);
        assert_eq!(failed(&window, NOW + WINDOW), 1, "the first has left exactly in time");
        assert_eq!(failed(&window, NOW + WINDOW + 5_000_000), 0);
        assert_eq!(failed(&window, NOW + HOUR), 0, "nothing has stayed of the first clock");
    }

    #[test]
    fn a_thread_that_is_late_is_no_other_clock() {
        let window = TimeWindow::default();
        record(&window, NOW);
        record(&window, NOW + WINDOW / 2);
        // It had read the clock before, and reads it again.
        let readings = [NOW + 1_000, NOW + WINDOW / 2 + 1_000].map(AtomicU64::new);
        let read = std::cell::Cell::new(0);
        let late = || readings[read.replace(1)].load(Ordering::Relaxed);
        window.record(Record { failed: true, slow: false }, 0, WINDOW, late, || true);
        assert_eq!(failed(&window, NOW + WINDOW / 2 + 1_000), 3);
        assert_eq!(failed(&window, NOW + WINDOW), 1, "it counts at the moment at which it began");
    }

    proptest! {
        /// Whatever clocks it has met: what one has recorded since it came is there while it has to be, and then no longer.
        #[test]
        fn no_clock_makes_it_stand_still(
            steps in prop::collection::vec((prop::option::weighted(0.3, 0_u64..2 * HOUR), 0_u64..2_000_000), 1..60),
        ) {
            let window = TimeWindow::default();
            // What was recorded since the clock was put back.
            let (mut now, mut latest, mut own) = (NOW, NOW, Vec::new());
            for (other_clock, passed) in steps {
                now = other_clock.map_or(now, |ahead| NOW + ahead) + passed;
                if now < latest {
                    own.clear();
                }
                // One that is behind by less than a period may be the same.
                let is_plain = now >= latest || now + WINDOW / 16 + 10_000 < latest;
                latest = now;
                record(&window, now);
                own.push(now);
                if !is_plain {
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
