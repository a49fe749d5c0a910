//! Who leaves when a newcomer needs a place.

use crate::totals::Sums;

/// The entries in a ring, and the hand that goes around it.
#[derive(Debug)]
pub(crate) struct Ring<E> {
    entries: Vec<E>,
    hand: usize,
    /// Nobody could leave when the hand went around last, and since then no newcomer has found a place.
    full: bool,
    /// The totals of those that have left.
    retired: Sums,
}

/// Something that can leave.
pub(crate) trait Candidate {
    /// How it stands; its use until now is forgotten.
    fn standing(&self) -> Standing;

    /// Its totals.
    fn sums(&self) -> Sums;
}

/// Who leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Not used since the hand came by last.
    Idle,
    Used,
    /// Has failures counted, which would be forgotten.
    Failing,
    /// Never leaves.
    Stays,
}

/// Where a newcomer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To those that are there.
    New,
    /// Instead of one that has left.
    Instead(usize),
    /// Nowhere: nobody can leave.
    None,
}

/// How many the hand looks at for a newcomer while the ring is full: so that a flood of keys meets a bounded wait, and one
/// that could leave by now is found soon.
const GLANCE: usize = 64;

impl<E> Default for Ring<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), hand: 0, full: false, retired: Sums::default() }
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

    /// Lets one leave, if `remove` can remove it, the first that is idle or else the best of all.
    pub(crate) fn make_room(&mut self, remove: impl Fn(&E) -> bool) -> Place {
        let mut candidates: [Option<usize>; 2] = [None; 2];
        let looks = if self.full { GLANCE.min(self.entries.len()) } else { self.entries.len() };
        for _ in 0..looks {
            let index = self.hand;
            self.hand = (index + 1) % self.entries.len();
            match self.entries.get(index).map(E::standing) {
                Some(Standing::Idle) if self.leaves(index, &remove) => return Place::Instead(index),
                Some(Standing::Used | Standing::Idle) => _ = candidates[0].get_or_insert(index),
                Some(Standing::Failing) => _ = candidates[1].get_or_insert(index),
                Some(Standing::Stays) | None => {}
            }
        }
        let best = candidates.into_iter().flatten().find(|index| self.leaves(*index, &remove));
        best.map_or(Place::None, |index| {
            self.hand = (index + 1) % self.entries.len();
            Place::Instead(index)
        })
    }

    /// Takes a newcomer in.
    pub(crate) fn put(&mut self, place: Place, entry: E) {
        match place {
            Place::New => self.entries.push(entry),
            Place::Instead(index) => {
                if let Some(left) = self.entries.get_mut(index) {
                    let left = std::mem::replace(left, entry);
                    self.retired = self.retired.plus(left.sums());
                }
                self.full = false;
            }
            Place::None => {}
        }
    }

    /// Notes that a newcomer has found no place; true if that is news.
    pub(crate) const fn overflows(&mut self) -> bool {
        !std::mem::replace(&mut self.full, true)
    }

    fn leaves(&self, index: usize, remove: impl Fn(&E) -> bool) -> bool {
        self.entries.get(index).is_some_and(remove)
    }
}
