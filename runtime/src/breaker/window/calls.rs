//! The last `n` calls, exactly.
//!
//! Every call takes the next number. A success leaves it at that. A failed or slow call also leaves an entry with its
//! number; so what the window holds are the entries whose number is among the last `n`.
//!
//! Numbers go on from epoch to epoch: an epoch has those above the one that was the last when it began.

use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;

use super::{Counts, Record, count, counted, order_by_rmw, retag};
use crate::breaker::state::atomic::AtomicCell;

/// See the module. Entries stand in rings of a power of two, of which the smallest that holds the window is written; those
/// that were written under other settings are still read.
#[derive(Debug, Default)]
pub(super) struct CallsWindow<A = AtomicU64> {
    /// The number of the last call, with the tag of the epoch.
    last: A,
    /// The number of the last call that is not in the window, however large the window is.
    before: A,
    /// How many calls the window holds; 0 while it is not in force.
    size: A,
    rings: [OnceBox<Vec<A>>; RINGS],
}

/// Up to 2²⁰ calls.
const RINGS: usize = 21;
pub(crate) const MAX_CALLS: u32 = 1 << (RINGS - 1);

const FLAG_BITS: u32 = 2;
const FAILED: u64 = 1;
const SLOW: u64 = 2;

impl<A: AtomicCell + Default> CallsWindow<A> {
    pub(super) fn begin(&self, epoch: u32) {
        // ORDERING: Release, so that whoever sees this number sees those that it leaves out.
        self.before.store(retag(&self.last, epoch), Ordering::Release);
    }

    /// A larger window begins with what the smaller one held: older failures are gone, and so older successes are not counted.
    /// So one that comes into force begins empty.
    pub(super) fn apply_settings(&self, calls: u32) {
        // ORDERING: Acquire and Release, as above. Who changes settings at the same time as another leaves one of both in force.
        let size = self.size.load(Ordering::Acquire);
        if u64::from(calls) > size {
            let held_from = (self.last.load(Ordering::Acquire) & super::COUNT_MASK).saturating_sub(size);
            let before = self.before.load(Ordering::Acquire);
            self.before.store(before.max(held_from), Ordering::Release);
        }
        self.size.store(u64::from(calls), Ordering::Release);
    }

    pub(super) fn record(&self, record: Record, epoch: u32, calls: u32) {
        let Some(number) = count(&self.last, epoch) else { return };
        if !record.is_held_against() {
            return;
        }
        let flags = if record.failed { FAILED } else { 0 } | if record.slow { SLOW } else { 0 };
        let entry = number << FLAG_BITS | flags;
        let ring = self.ring(calls);
        let Some(cell) = usize::try_from(number).ok().and_then(|number| ring.get(number & (ring.len() - 1))) else {
            return;
        };
        // ORDERING: Acquire and Release, as in `count`.
        let mut found = cell.load(Ordering::Acquire);
        // A call that was held up for a whole window finds a later one in its place.
        while number_of(found) < number {
            match cell.compare_exchange_weak(found, entry, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => found = changed,
            }
        }
        order_by_rmw(&self.last);
    }

    pub(super) fn counts(&self, epoch: u32, calls: u32) -> Counts {
        // Acquired, so that the entries of calls that were counted and written before are seen.
        let Some(last) = counted(&self.last, epoch) else { return Counts::default() };
        // ORDERING: Acquire, so that no entry is seen that was left out before.
        let before = self.before.load(Ordering::Acquire).max(last.saturating_sub(u64::from(calls)));
        let entries = self.rings.iter().filter_map(OnceBox::get).flatten().map(|cell| cell.load(Ordering::Acquire));
        let held = entries.filter(|entry| (before + 1..=last).contains(&number_of(*entry)));
        held.fold(Counts { calls: last.saturating_sub(before), ..Counts::default() }, |counts, entry| Counts {
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

const fn number_of(entry: u64) -> u64 {
    entry >> FLAG_BITS
}
