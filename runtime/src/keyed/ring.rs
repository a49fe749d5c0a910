//! The order of eviction: which entry makes room for a newcomer.

use crate::totals::Sums;

/// The entries in a ring, and the hand that goes around it.
#[derive(Debug)]
pub(crate) struct Ring<E> {
    entries: Vec<E>,
    hand: usize,
    /// Steps that the hand may take for the next newcomer, besides [`STEPS`].
    saved: usize,
    /// The last newcomer has found no place.
    overflows: bool,
    /// The totals of the entries that were evicted.
    retired: Sums,
}

/// Something that can be evicted.
pub(crate) trait Candidate {
    /// How it stands. The note that it was used is cleared.
    fn standing(&self) -> EvictionClass;

    /// Its totals.
    fn sums(&self) -> Sums;
}

/// How much an eviction would lose: what loses least is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EvictionClass {
    /// Nothing is counted, and it was not used since the hand came by.
    Idle,
    /// It has failed, but nobody has used it for a long time.
    Abandoned,
    /// Nothing is counted, and it was used since the hand came by.
    Used,
    /// Failures are counted, and it was not used since the hand came by.
    Failing,
    /// Failures are counted, and it was used since the hand came by.
    FailingAndUsed,
    /// It is never evicted.
    Stays,
}

/// Where a newcomer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To the others.
    New,
    /// Instead of an entry that was evicted.
    Instead(usize),
    /// Nowhere: no entry was found that can be evicted.
    None,
}

/// Steps that each newcomer pays for. The hand saves those that it does not need.
const STEPS: usize = 8;
/// The most steps for one newcomer, so that even the worst wait is short.
const MOST_STEPS: usize = 128;
/// The standings of entries that can be evicted.
const EVICTABLE: usize = EvictionClass::Stays as usize;

impl<E> Default for Ring<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), hand: 0, saved: MOST_STEPS, overflows: false, retired: Sums::default() }
    }
}

impl<E: Candidate + Clone> Ring<E> {
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> Vec<E> {
        self.entries.clone()
    }

    pub(crate) const fn retired(&self) -> Sums {
        self.retired
    }

    /// Evicts an entry, if `remove` can remove it: the first that is idle, or else the one among those looked at that loses least.
    ///
    /// The hand takes at most [`MOST_STEPS`], and [`STEPS`] on average, whatever the length of the ring.
    pub(crate) fn evict_one(&mut self, remove: impl Fn(&E) -> bool) -> Place {
        let mut found = [None; EVICTABLE];
        self.saved = (self.saved + STEPS).min(MOST_STEPS);
        let looks = self.entries.len().min(self.saved);
        for _ in 0..looks {
            let index = self.hand;
            self.hand = (index + 1) % self.entries.len();
            self.saved -= 1;
            let Some(entry) = self.entries.get(index) else { continue };
            let standing = entry.standing();
            if standing == EvictionClass::Idle && remove(entry) {
                return Place::Instead(index);
            }
            if let Some(first) = found.get_mut(standing as usize) {
                first.get_or_insert(index);
            }
        }
        let evicted = found.into_iter().flatten().find(|index| self.entries.get(*index).is_some_and(&remove));
        let Some(index) = evicted else { return Place::None };
        if looks == self.entries.len() {
            // The hand is where it began. The newcomer is the last one that it comes to again.
            self.hand = (index + 1) % looks;
        }
        Place::Instead(index)
    }

    /// Takes a newcomer in.
    pub(crate) fn put(&mut self, place: Place, entry: E) {
        match place {
            Place::New => self.entries.push(entry),
            Place::Instead(index) => {
                if let Some(place) = self.entries.get_mut(index) {
                    let evicted = std::mem::replace(place, entry);
                    self.retired = self.retired.plus(evicted.sums());
                }
            }
            Place::None => return,
        }
        self.overflows = false;
    }

    /// Notes that a newcomer has found no place; true if the one before it had found one.
    pub(crate) const fn overflow(&mut self) -> bool {
        !std::mem::replace(&mut self.overflows, true)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    /// Counts how often it is looked at.
    #[derive(Clone)]
    struct Entry(Rc<Cell<usize>>, EvictionClass);

    impl Candidate for Entry {
        fn standing(&self) -> EvictionClass {
            self.0.set(self.0.get() + 1);
            self.1
        }

        fn sums(&self) -> Sums {
            Sums::default()
        }
    }

    fn ring(standings: impl Iterator<Item = EvictionClass>) -> (Ring<Entry>, Rc<Cell<usize>>) {
        let (mut ring, steps) = (Ring::default(), Rc::default());
        standings.for_each(|standing| ring.put(Place::New, Entry(Rc::clone(&steps), standing)));
        (ring, steps)
    }

    #[test]
    fn a_newcomer_costs_few_steps_whatever_the_length_of_the_ring() {
        const NEWCOMERS: usize = 10_000;
        for standing in [EvictionClass::Stays, EvictionClass::FailingAndUsed, EvictionClass::Used, EvictionClass::Idle]
        {
            let (mut ring, steps) = ring((0..10_000).map(|_| standing));
            for _ in 0..NEWCOMERS {
                let before = steps.get();
                let place = ring.evict_one(|_| true);
                assert_eq!(place == Place::None, standing == EvictionClass::Stays);
                assert!(steps.get() - before <= MOST_STEPS);
            }
            assert!(steps.get() <= MOST_STEPS + NEWCOMERS * STEPS, "{} steps, {standing:?}", steps.get());
        }
    }

    #[test]
    fn what_loses_least_is_evicted_first() {
        use EvictionClass::{Abandoned, Failing, FailingAndUsed, Idle, Stays, Used};
        let order = [Idle, Abandoned, Used, Failing, FailingAndUsed];
        for (best, rest) in order.iter().enumerate() {
            let worse = order.iter().skip(best + 1).rev().copied();
            let (mut ring, _) = ring([Stays].into_iter().chain(worse).chain([*rest, Stays]));
            let expected = ring.len() - 2;
            assert_eq!(ring.evict_one(|_| true), Place::Instead(expected), "{rest:?}");
        }
    }

    #[test]
    fn the_one_place_among_many_is_found_in_time() {
        let (mut ring, _) =
            ring((0..1_000).map(|index| if index == 999 { EvictionClass::Idle } else { EvictionClass::Stays }));
        let found = (0..1_000 / STEPS).any(|_| ring.evict_one(|_| true) == Place::Instead(999));
        assert!(found);
    }
}
