//! The count-based window of exactly the last `n` calls.
//!
//! Each call gets the next sequence number. A failed or slow call also stores an entry with its number in a ring. The failed and slow calls
//! of the window are the entries whose number is among the last `n`.
//!
//! Numbers continue from epoch to epoch: the calls of an epoch have the numbers above the last one of the previous epoch.

use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;

use super::{Counts, Record, increment, load_count, order_by_rmw, retag};
use crate::breaker::state::atomic::AtomicCell;

/// The window described in the module documentation. There is a ring for each power of two. Entries are written to the smallest ring that
/// holds the window; entries in other rings, written under earlier settings, are still read.
#[derive(Debug, Default)]
pub(super) struct CallsWindow<A = AtomicU64> {
    /// The number of the last call, tagged with the epoch.
    last: A,
    /// The number of the last excluded call: the calls up to this number are not in the window, whatever its size.
    floor: A,
    /// The number of calls in the window; 0 while this kind of window is not in use.
    size: A,
    rings: [OnceBox<Vec<A>>; RINGS],
}

/// The number of rings, for windows of up to 2²⁰ calls.
const RINGS: usize = 21;
pub(crate) const MAX_CALLS: u32 = 1 << (RINGS - 1);

const FLAG_BITS: u32 = 2;
const FAILED: u64 = 1;
const SLOW: u64 = 2;

impl<A: AtomicCell + Default> CallsWindow<A> {
    pub(super) fn reset(&self, epoch: u32) {
        // ORDERING: Release: a thread that sees the floor also sees the calls that it excludes.
        self.floor.store(retag(&self.last, epoch), Ordering::Release);
    }

    /// Applies a changed size; 0 if this kind of window is not in use.
    ///
    /// A window that grows starts with the calls of the smaller one: the entries of older failures may be overwritten, so older successes
    /// are excluded, too. A window that was not in use had the size 0, so it starts empty.
    pub(super) fn apply_settings(&self, calls: u32) {
        // ORDERING: Acquire and Release, as above. Of two concurrent changes of settings, one stays in force.
        let size = self.size.load(Ordering::Acquire);
        if u64::from(calls) > size {
            let held_from = (self.last.load(Ordering::Acquire) & super::COUNT_MASK).saturating_sub(size);
            let floor = self.floor.load(Ordering::Acquire);
            self.floor.store(floor.max(held_from), Ordering::Release);
        }
        self.size.store(u64::from(calls), Ordering::Release);
    }

    pub(super) fn record(&self, record: Record, epoch: u32, calls: u32) {
        let Some(number) = increment(&self.last, epoch) else { return };
        if !record.is_adverse() {
            return;
        }
        let flags = if record.failed { FAILED } else { 0 } | if record.slow { SLOW } else { 0 };
        let entry = number << FLAG_BITS | flags;
        let ring = self.ring(calls);
        let Some(cell) = usize::try_from(number).ok().and_then(|number| ring.get(number & (ring.len() - 1))) else {
            return;
        };
        // ORDERING: Acquire and Release, as in `increment`.
        let mut found = cell.load(Ordering::Acquire);
        // If the thread was suspended for a whole window, the cell holds a later entry, which is kept.
        while number_of(found) < number {
            match cell.compare_exchange_weak(found, entry, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => found = changed,
            }
        }
        order_by_rmw(&self.last);
    }

    pub(super) fn counts(&self, epoch: u32, calls: u32) -> Counts {
        // The Acquire of `load_count` makes the entries of earlier calls visible.
        let Some(last) = load_count(&self.last, epoch) else { return Counts::default() };
        // ORDERING: Acquire pairs with the Release of `reset`: entries below the floor are excluded.
        let floor = self.floor.load(Ordering::Acquire).max(last.saturating_sub(u64::from(calls)));
        let entries = self.rings.iter().filter_map(OnceBox::get).flatten().map(|cell| cell.load(Ordering::Acquire));
        let held = entries.filter(|entry| (floor + 1..=last).contains(&number_of(*entry)));
        held.fold(Counts { calls: last.saturating_sub(floor), ..Counts::default() }, |counts, entry| Counts {
            failed: counts.failed + (entry & FAILED),
            slow: counts.slow + (entry & SLOW) / SLOW,
            ..counts
        })
    }

    /// The ring for a window of `calls` calls, allocated with its first entry.
    fn ring(&self, calls: u32) -> &[A] {
        let size = calls.clamp(1, MAX_CALLS).next_power_of_two();
        let index = usize::try_from(size.trailing_zeros()).unwrap_or(0).min(RINGS - 1);
        self.rings[index].get_or_init(|| Box::new((0..size).map(|_| A::default()).collect()))
    }
}

const fn number_of(entry: u64) -> u64 {
    entry >> FLAG_BITS
}
