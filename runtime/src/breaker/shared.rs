//! The circuit, shared: each step of [`Circuit`] applied by compare-and-swap.
//!
//! The word decides. What does not fit into it, its moment and reason, stands beside it in two cells, that of even and that of
//! odd epochs. A transition writes the cell of the epoch that it leads to before it swaps the word; nobody reads that cell yet.
//! Whoever has read a cell looks at the word again: while its epoch is the same, so is what the cell belongs to.
//!
//! **Invariant:** this is the only code that writes these cells, and it writes them only with a successor that `Circuit`
//! computed from the very word it replaces.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    cause::PackedReason,
    word::{Admission, AdmitDecision, Circuit, Refusal, State},
};

/// A 64-bit cell that threads share: the standard one, or the one of a model checker.
pub(crate) trait AtomicCell {
    fn load(&self, ordering: Ordering) -> u64;
    fn store(&self, value: u64, ordering: Ordering);
    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

/// Sees every transition as it happens.
pub(crate) trait TransitionObserver {
    /// Calls `swap`, which makes the change if it still can and says whether it did: a transition, or another moment of the same
    /// state. Witnesses of one breaker call it one after the other, so that what they tell is in order.
    fn change(&self, from: Circuit, to: Circuit, swap: &mut dyn FnMut() -> bool) -> bool;

    /// Makes ready what calls of the new epoch will find, just before they can.
    fn prepare(&self, _to: Circuit) {}
}

/// The shared circuit.
#[derive(Debug)]
pub(crate) struct AtomicState<A = AtomicU64> {
    word: A,
    /// Of even epochs, and of odd ones.
    details: [Detail<A>; 2],
}

/// What belongs to a state beside its word.
#[derive(Debug)]
pub(crate) struct Detail<A> {
    pub(crate) moment: A,
    pub(crate) why: A,
}

impl AtomicState<AtomicU64> {
    pub(crate) const fn new(circuit: Circuit) -> Self {
        let (moment, why) = (AtomicU64::new(circuit.moment()), AtomicU64::new(circuit.cause().bits()));
        let other = Detail { moment: AtomicU64::new(0), why: AtomicU64::new(0) };
        Self::of(AtomicU64::new(circuit.word().bits()), [Detail { moment, why }, other])
    }
}

impl<A> AtomicState<A> {
    /// With the detail of even epochs first.
    pub(crate) const fn of(word: A, details: [Detail<A>; 2]) -> Self {
        Self { word, details }
    }

    #[inline]
    const fn detail(&self, word: State) -> &Detail<A> {
        let [even, odd] = &self.details;
        if word.epoch().is_multiple_of(2) { even } else { odd }
    }
}

impl<A: AtomicCell> AtomicState<A> {
    #[inline]
    pub(crate) fn word(&self) -> State {
        // ORDERING: Acquire pairs with the Release of the transition that wrote the word, so that whoever sees a
        // state also sees what happened before it was entered. On x86 and Arm64 it costs what a relaxed load costs.
        State::from_bits(self.word.load(Ordering::Acquire))
    }

    /// The word, and what belongs to its epoch.
    #[inline]
    pub(crate) fn load(&self) -> Circuit {
        loop {
            let word = self.word();
            let detail = self.detail(word);
            // ORDERING: Acquire pairs with the Release in `replace`: whoever sees here what belongs to a later epoch sees below
            // that the one it asks about is over.
            let (moment, why) = (detail.moment.load(Ordering::Acquire), detail.why.load(Ordering::Acquire));
            if State::from_bits(self.word.load(Ordering::Relaxed)).epoch() == word.epoch() {
                return Circuit::of(word, moment, PackedReason::from_bits(why));
            }
        }
    }

    /// Admits a call, as `admit` decides. `Err` has the circuit that refuses it.
    pub(crate) fn acquire(
        &self,
        observer: &impl TransitionObserver,
        admit: impl Fn(Circuit) -> AdmitDecision,
    ) -> Result<Admission, (Circuit, Refusal)> {
        loop {
            let circuit = self.load();
            match admit(circuit) {
                AdmitDecision::Free => return Ok(circuit.word().admission()),
                AdmitDecision::Refused(refusal) => return Err((circuit, refusal)),
                AdmitDecision::Take(next) if self.replace(circuit, next, observer) => {
                    return Ok(next.word().admission());
                }
                AdmitDecision::Take(_) => {}
            }
        }
    }

    /// Applies a step until it is applied to an unchanged circuit, or changes nothing. Gives the one that it led to, if it
    /// changed anything.
    pub(crate) fn step(
        &self,
        observer: &impl TransitionObserver,
        step: impl Fn(Circuit) -> Option<Circuit>,
    ) -> Option<Circuit> {
        loop {
            let circuit = self.load();
            let next = step(circuit)?;
            if self.replace(circuit, next, observer) {
                return Some(next);
            }
        }
    }

    /// The only write. `false` if something else stands there now.
    fn replace(&self, from: Circuit, to: Circuit, observer: &impl TransitionObserver) -> bool {
        let (old, new) = (from.word(), to.word());
        let swap = || {
            // ORDERING: AcqRel on success: Release publishes what led to the transition, Acquire sees what led to the
            // word that it replaces. Relaxed on failure, because the word is loaded again.
            self.word.compare_exchange_weak(old.bits(), new.bits(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if old.epoch() == new.epoch() && from.moment() == to.moment() {
            return swap();
        }
        observer.change(from, to, &mut || {
            // No transition is under way meanwhile, so that the epoch stays as it is.
            if self.word().epoch() != old.epoch() {
                return false;
            }
            let detail = self.detail(new);
            // ORDERING: Release, as in `load`.
            detail.moment.store(to.moment(), Ordering::Release);
            detail.why.store(to.cause().bits(), Ordering::Release);
            if old.epoch() != new.epoch() {
                observer.prepare(to);
            }
            swap()
        })
    }
}

impl AtomicCell for AtomicU64 {
    #[inline]
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }

    fn store(&self, value: u64, ordering: Ordering) {
        self.store(value, ordering);
    }

    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, success, failure)
    }
}
