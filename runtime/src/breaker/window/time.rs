//! The calls of the last so many seconds, in buckets.
//!
//! A bucket is a power of two of microseconds, the largest of which at least 16 make a window; there are 64 in a ring.
//! What a window holds are the buckets that began within it. So nothing older than the window counts, and what is up to
//! a sixteenth of it younger may have left. Periods are counted from the first call, which leaves exactly in time.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Counts, Record, count, line_up};
use crate::breaker::shared::AtomicCell;

/// See the module.
#[derive(Debug)]
pub(super) struct TimeWindow<A = AtomicU64> {
    /// The moment of the first call; 0 before it.
    origin: A,
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

impl<A: AtomicCell + Default> Default for TimeWindow<A> {
    fn default() -> Self {
        let cells = || array::from_fn(|_| A::default());
        Self { origin: A::default(), calls: cells(), failed: cells(), slow: cells() }
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
        let period_of = |now: u64| now.saturating_sub(self.origin(now)) >> width;
        let period = period_of(now());
        let (index, tag) = (bucket(period), tag(epoch, width, period));
        // A call that was held up for two windows finds a later period in its place. Periods are kept modulo a few million,
        // and so what looks later is so only if that much time has passed by now.
        let is_later = |found: u64| {
            let ahead = found.wrapping_sub(tag) & ((1 << PERIOD_BITS) - 1);
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

    pub(super) fn counts(&self, epoch: u16, window: u64, now: u64) -> Counts {
        // ORDERING: Relaxed: the number stands alone.
        let origin = self.origin.load(Ordering::Relaxed);
        if origin == 0 {
            return Counts::default();
        }
        let width = width(window);
        let since_origin = now.saturating_sub(origin);
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

    fn origin(&self, now: u64) -> u64 {
        // ORDERING: Relaxed: the number stands alone, and is written once.
        let found = self.origin.load(Ordering::Relaxed);
        if found != 0 {
            return found;
        }
        loop {
            match self.origin.compare_exchange_weak(0, now.max(1), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return now.max(1),
                Err(0) => {}
                Err(first) => return first,
            }
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
    ((epoch as u64) << WIDTH_BITS | width as u64) << PERIOD_BITS | period & ((1 << PERIOD_BITS) - 1)
}
