//! The last `n` calls, exactly.
//!
//! Every call takes the next number. A success leaves it at that. A failed or slow call also leaves an entry with its
//! number; so what the window holds are the entries whose number is among the last `n`.

use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;

use super::{Counts, Record, count, line_up};
use crate::breaker::shared::AtomicCell;

/// See the module. Entries stand in rings of a power of two, of which the smallest that holds the window is written; those
/// that were written under other settings are still read.
#[derive(Debug, Default)]
pub(super) struct CallsWindow<A = AtomicU64> {
    /// Epoch, and the number of the last call.
    last: A,
    rings: [OnceBox<Vec<A>>; RINGS],
}

/// Up to 2²⁰ calls.
const RINGS: usize = 21;
pub(crate) const MAX_CALLS: u32 = 1 << (RINGS - 1);

const EPOCH_BITS: u32 = 12;
const FLAG_BITS: u32 = 2;
const NUMBER_BITS: u32 = u64::BITS - EPOCH_BITS - FLAG_BITS;

const FAILED: u64 = 1;
const SLOW: u64 = 2;

impl<A: AtomicCell + Default> CallsWindow<A> {
    pub(super) fn record(&self, record: Record, epoch: u16, calls: u32, is_current: impl Fn() -> bool) {
        let Some(number) = count(&self.last, u64::from(epoch), NUMBER_BITS + FLAG_BITS, |_| is_current()) else {
            return;
        };
        if !record.is_held_against() {
            return;
        }
        let flags = if record.failed { FAILED } else { 0 } | if record.slow { SLOW } else { 0 };
        let entry = u64::from(epoch) << (NUMBER_BITS + FLAG_BITS) | (number & NUMBER_MASK) << FLAG_BITS | flags;
        let ring = self.ring(calls);
        let Some(cell) = usize::try_from(number).ok().and_then(|number| ring.get(number & (ring.len() - 1))) else {
            return;
        };
        // ORDERING: Acquire and Release, as in `count`.
        let mut found = cell.load(Ordering::Acquire);
        // A call that was held up for a whole window finds a later one in its place, or a later epoch.
        while if epoch_of(found) == epoch { number_of(found) < number_of(entry) } else { is_current() } {
            match cell.compare_exchange_weak(found, entry, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => found = changed,
            }
        }
        line_up(&self.last);
    }

    pub(super) fn counts(&self, epoch: u16, calls: u32) -> Counts {
        // ORDERING: Acquire, so that the entries of calls that were counted and written before are seen.
        let last = self.last.load(Ordering::Acquire);
        if last >> (NUMBER_BITS + FLAG_BITS) != u64::from(epoch) {
            return Counts::default();
        }
        let last = last & NUMBER_MASK;
        let first = last.saturating_sub(u64::from(calls)) + 1;
        let entries = self.rings.iter().filter_map(OnceBox::get).flatten().map(|cell| cell.load(Ordering::Acquire));
        let held = entries.filter(|entry| epoch_of(*entry) == epoch && (first..=last).contains(&number_of(*entry)));
        held.fold(Counts { calls: last.min(u64::from(calls)), ..Counts::default() }, |counts, entry| Counts {
            failed: counts.failed + (entry & FAILED),
            slow: counts.slow + (entry & SLOW) / SLOW,
            ..counts
        })
    }

    /// The ring for a window of so many calls.
    fn ring(&self, calls: u32) -> &[A] {
        let size = calls.clamp(1, MAX_CALLS).next_power_of_two();
        let index = usize::try_from(size.trailing_zeros()).unwrap_or(0).min(RINGS - 1);
        self.rings[index].get_or_init(|| Box::new((0..size).map(|_| A::default()).collect()))
    }
}

const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

const fn number_of(entry: u64) -> u64 {
    entry >> FLAG_BITS & NUMBER_MASK
}

#[allow(clippy::cast_possible_truncation, reason = "12 bits")]
const fn epoch_of(entry: u64) -> u16 {
    (entry >> (NUMBER_BITS + FLAG_BITS)) as u16
}
