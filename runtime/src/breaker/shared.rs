//! The state word, shared: each step of [`Word`] applied by compare-and-swap.
//!
//! **Invariant:** this is the only code that writes the word, and it writes it only with a successor that `Word`
//! computed from the very value it replaces.

use std::sync::atomic::{AtomicU64, Ordering};

use super::word::{Admission, Refusal, Ticket, Word};

/// A 64-bit cell that threads share: the standard one, or the one of a model checker.
pub(crate) trait AtomicCell {
    fn load(&self, ordering: Ordering) -> u64;
    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

/// Sees every transition as it happens.
pub(crate) trait Witness {
    /// Calls `swap`, which makes the transition if it still can and says whether it did. Witnesses of one breaker call it
    /// one after the other, so that what they tell is in order.
    fn transition(&self, from: Word, to: Word, swap: &mut dyn FnMut() -> bool) -> bool;
}

/// The shared state word.
#[derive(Debug)]
pub(crate) struct SharedWord<A = AtomicU64> {
    word: A,
}

impl SharedWord<AtomicU64> {
    pub(crate) const fn new(word: Word) -> Self {
        Self::of(AtomicU64::new(word.bits()))
    }
}

impl<A> SharedWord<A> {
    pub(crate) const fn of(word: A) -> Self {
        Self { word }
    }
}

impl<A: AtomicCell> SharedWord<A> {
    #[inline]
    pub(crate) fn load(&self) -> Word {
        // ORDERING: Acquire pairs with the Release of the transition that wrote the word, so that whoever sees a
        // state also sees what happened before it was entered. On x86 and Arm64 it costs what a relaxed load costs.
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Admits a call, as `admit` decides. `Err` has the word that refuses it.
    pub(crate) fn acquire(
        &self,
        witness: &impl Witness,
        admit: impl Fn(Word) -> Admission,
    ) -> Result<Ticket, (Word, Refusal)> {
        let mut word = self.load();
        loop {
            match admit(word) {
                Admission::Free => return Ok(word.ticket()),
                Admission::Refused(refusal) => return Err((word, refusal)),
                Admission::Take(next) if self.replace(word, next, witness) => return Ok(next.ticket()),
                Admission::Take(_) => word = self.load(),
            }
        }
    }

    /// Applies a step until it is applied to an unchanged word, or changes nothing. Gives the word that it led to, if it
    /// changed anything.
    pub(crate) fn step(&self, witness: &impl Witness, step: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let mut word = self.load();
        loop {
            let next = step(word)?;
            if self.replace(word, next, witness) {
                return Some(next);
            }
            word = self.load();
        }
    }

    /// The only write. `false` if something else stands there now.
    fn replace(&self, word: Word, next: Word, witness: &impl Witness) -> bool {
        let mut swap = || {
            // ORDERING: AcqRel on success: Release publishes what led to the transition, Acquire sees what led to the
            // word that it replaces. Relaxed on failure, because the word is loaded again.
            self.word.compare_exchange_weak(word.bits(), next.bits(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if word.epoch() == next.epoch() { swap() } else { witness.transition(word, next, &mut swap) }
    }
}

impl AtomicCell for AtomicU64 {
    #[inline]
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }

    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, success, failure)
    }
}
