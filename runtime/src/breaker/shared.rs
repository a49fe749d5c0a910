//! The state word, shared: each step of [`Word`] applied by compare-and-swap.
//!
//! **Invariant:** this is the only code that writes the word, and it writes it only with a successor that `Word`
//! computed from the very value it replaces.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    BreakerState,
    word::{Admission, Outcome, Refusal, Rules, Ticket, Word},
};
use crate::clock::Moment;

/// A 64-bit cell that threads share: the standard one, or the one of a model checker.
pub(crate) trait AtomicCell {
    fn load(&self, ordering: Ordering) -> u64;
    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

/// The shared state word.
#[derive(Debug, Default)]
pub(crate) struct SharedWord<A = AtomicU64> {
    word: A,
}

/// A step that changed the state, for whoever reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a transition that is not reported is lost"]
pub(crate) struct Transition {
    pub(crate) from: BreakerState,
    pub(crate) to: BreakerState,
}

impl SharedWord<AtomicU64> {
    pub(crate) const fn new() -> Self {
        Self::of(AtomicU64::new(Word::new().bits()))
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

    /// Admits a call that `word`, a recent reading, does not admit freely.
    pub(crate) fn acquire(
        &self,
        rules: &Rules,
        now: impl Fn() -> Moment,
    ) -> Result<(Ticket, Option<Transition>), Refusal> {
        let mut word = self.load();
        loop {
            if word.admits_freely() {
                return Ok((word.ticket(), None));
            }
            match word.admit(rules, now()) {
                Admission::Free => return Ok((word.ticket(), None)),
                Admission::Refused(refusal) => return Err(refusal),
                Admission::Take(next) => match self.replace(word, next) {
                    Ok(transition) => return Ok((next.ticket(), transition)),
                    Err(changed) => word = changed,
                },
            }
        }
    }

    /// Takes in how an admitted call ended.
    pub(crate) fn settle(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        rules: &Rules,
        now: impl Fn() -> Moment,
    ) -> Option<Transition> {
        self.step(|word| word.settle(ticket, outcome, rules, &now))
    }

    pub(crate) fn force_open(&self) -> Option<Transition> {
        self.step(Word::force_open)
    }

    pub(crate) fn disable(&self) -> Option<Transition> {
        self.step(Word::disable)
    }

    pub(crate) fn reset(&self) -> Option<Transition> {
        self.step(|word| Some(word.reset()))
    }

    /// Applies a step until it is applied to an unchanged word, or changes nothing.
    fn step(&self, step: impl Fn(Word) -> Option<Word>) -> Option<Transition> {
        let mut word = self.load();
        loop {
            match self.replace(word, step(word)?) {
                Ok(transition) => return transition,
                Err(changed) => word = changed,
            }
        }
    }

    /// The only write. `Err` has the word that stood there instead.
    fn replace(&self, word: Word, next: Word) -> Result<Option<Transition>, Word> {
        // ORDERING: AcqRel on success: Release publishes what led to the transition, Acquire sees what led to the
        // word that it replaces. Acquire on failure, because the step is computed again from what was found.
        self.word
            .compare_exchange_weak(word.bits(), next.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map_err(Word::from_bits)?;
        let (from, to) = (word.state(), next.state());
        Ok((from != to).then_some(Transition { from, to }))
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
