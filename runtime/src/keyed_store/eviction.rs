//! The order of eviction: CLOCK, refined by the loss that an eviction would cause.

use crate::totals::Sums;

/// The entries in a ring, and the clock hand that goes around it.
#[derive(Debug)]
pub(super) struct ClockRing<E> {
    entries: Vec<E>,
    hand: usize,
    /// The number of entries that earlier evictions could have examined but did not. The next eviction may examine as many in addition to
    /// [`SCAN_PER_EVICTION`].
    saved: usize,
    /// True if the last insertion found no slot.
    overflows: bool,
    /// The totals of the evicted entries.
    evicted: Sums,
}

/// An entry that can be evicted.
pub(super) trait Candidate {
    /// Returns the loss that an eviction would cause, and clears the reference bit, because the hand passes.
    fn examine(&self) -> EvictionClass;

    /// Returns the totals of the calls through this entry.
    fn sums(&self) -> Sums;
}

/// The loss that an eviction would cause, in ascending order: the entry with the least loss is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EvictionClass {
    /// An entry without counts to lose that was not used since the hand last passed.
    Idle,
    /// A breaker that is open or half-open and has long been due for a trial call, or whose manual override has expired.
    Abandoned,
    /// An entry without counts to lose that was used since the hand last passed.
    Used,
    /// A breaker with counted failures or slow calls that was not used since the hand last passed.
    Failing,
    /// A breaker with counted failures or slow calls, or an abandoned one, that was used since the hand last passed.
    FailingAndUsed,
    /// An entry that must not be evicted.
    Pinned,
}

/// The slot for a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// A new slot at the end.
    Append,
    /// The slot of an evicted entry.
    Replace(usize),
    /// No slot, since none of the examined entries could be evicted.
    Full,
}

/// The number of entries that an eviction may examine on average. An eviction that examines fewer saves the rest for later ones.
const SCAN_PER_EVICTION: usize = 8;
/// The largest number of entries that one eviction examines, which bounds the time under the lock.
const MAX_SCAN: usize = 128;
/// The number of classes whose entries can be evicted.
const EVICTABLE: usize = EvictionClass::Pinned as usize;

impl<E> Default for ClockRing<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), hand: 0, saved: MAX_SCAN, overflows: false, evicted: Sums::default() }
    }
}

impl<E: Candidate + Clone> ClockRing<E> {
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> Vec<E> {
        self.entries.clone()
    }

    pub(super) const fn evicted_sums(&self) -> Sums {
        self.evicted
    }

    /// Evicts an entry for which `try_evict` returns true: the first idle one, or otherwise the one with the least loss among those
    /// examined.
    ///
    /// Examines at most [`MAX_SCAN`] entries, and [`SCAN_PER_EVICTION`] on average, whatever the length of the ring.
    pub(super) fn evict_one(&mut self, try_evict: impl Fn(&E) -> bool) -> Slot {
        let mut first_of_class = [None; EVICTABLE];
        self.saved = (self.saved + SCAN_PER_EVICTION).min(MAX_SCAN);
        let scan = self.entries.len().min(self.saved);
        for _ in 0..scan {
            let index = self.hand;
            self.hand = (index + 1) % self.entries.len();
            self.saved -= 1;
            let Some(entry) = self.entries.get(index) else { continue };
            let class = entry.examine();
            if class == EvictionClass::Idle && try_evict(entry) {
                return Slot::Replace(index);
            }
            if let Some(first) = first_of_class.get_mut(class as usize) {
                first.get_or_insert(index);
            }
        }
        let evicted =
            first_of_class.into_iter().flatten().find(|index| self.entries.get(*index).is_some_and(&try_evict));
        let Some(index) = evicted else { return Slot::Full };
        if scan == self.entries.len() {
            // The hand has gone round once. It moves behind the new entry, so that it reaches the new entry last.
            self.hand = (index + 1) % scan;
        }
        Slot::Replace(index)
    }

    pub(super) fn insert(&mut self, slot: Slot, entry: E) {
        match slot {
            Slot::Append => self.entries.push(entry),
            Slot::Replace(index) => {
                if let Some(slot) = self.entries.get_mut(index) {
                    let evicted = std::mem::replace(slot, entry);
                    self.evicted = self.evicted.plus(evicted.sums());
                }
            }
            Slot::Full => return,
        }
        self.overflows = false;
    }

    /// Records that an insertion found no slot. Returns true if the previous insertion had found one.
    pub(super) const fn record_overflow(&mut self) -> bool {
        !std::mem::replace(&mut self.overflows, true)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    /// An entry of a fixed class, with a counter of examinations that the entries of a ring share.
    #[derive(Clone)]
    struct Entry(Rc<Cell<usize>>, EvictionClass);

    impl Candidate for Entry {
        fn examine(&self) -> EvictionClass {
            self.0.set(self.0.get() + 1);
            self.1
        }

        fn sums(&self) -> Sums {
            Sums::default()
        }
    }

    fn ring(classes: impl Iterator<Item = EvictionClass>) -> (ClockRing<Entry>, Rc<Cell<usize>>) {
        let (mut ring, steps) = (ClockRing::default(), Rc::default());
        classes.for_each(|class| ring.insert(Slot::Append, Entry(Rc::clone(&steps), class)));
        (ring, steps)
    }

    #[test]
    fn an_eviction_examines_a_bounded_number_of_entries() {
        const EVICTIONS: usize = 10_000;
        for class in [EvictionClass::Pinned, EvictionClass::FailingAndUsed, EvictionClass::Used, EvictionClass::Idle] {
            let (mut ring, steps) = ring((0..10_000).map(|_| class));
            for _ in 0..EVICTIONS {
                let before = steps.get();
                let slot = ring.evict_one(|_| true);
                assert_eq!(slot == Slot::Full, class == EvictionClass::Pinned);
                assert!(steps.get() - before <= MAX_SCAN);
            }
            assert!(steps.get() <= MAX_SCAN + EVICTIONS * SCAN_PER_EVICTION, "{} steps, {class:?}", steps.get());
        }
    }

    #[test]
    fn the_entry_with_the_least_loss_is_evicted_first() {
        use EvictionClass::{Abandoned, Failing, FailingAndUsed, Idle, Pinned, Used};
        let order = [Idle, Abandoned, Used, Failing, FailingAndUsed];
        for (best, rest) in order.iter().enumerate() {
            let worse = order.iter().skip(best + 1).rev().copied();
            let (mut ring, _) = ring([Pinned].into_iter().chain(worse).chain([*rest, Pinned]));
            let expected = ring.len() - 2;
            assert_eq!(ring.evict_one(|_| true), Slot::Replace(expected), "{rest:?}");
        }
    }

    #[test]
    fn the_only_idle_entry_of_a_thousand_is_found() {
        let (mut ring, _) =
            ring((0..1_000).map(|index| if index == 999 { EvictionClass::Idle } else { EvictionClass::Pinned }));
        let found = (0..1_000 / SCAN_PER_EVICTION).any(|_| ring.evict_one(|_| true) == Slot::Replace(999));
        assert!(found);
    }
}
