//! The state machine shared between threads: each step of [`Circuit`] is applied by compare-and-swap.
//!
//! The word is authoritative. The moment and the reason do not fit into it, so they are in two detail cells beside it: one for even and
//! one for odd epochs. A transition writes the cell of the new epoch before it swaps the word, while no reader uses that cell. A reader
//! loads the word again after it has read a cell: if the epoch is unchanged, the cell belongs to that epoch.
//!
//! A lock around the whole circuit, or a pointer to an allocated value, would make each admission write to shared memory. With the cells
//! beside the word, an admission only loads.
//!
//! **Invariant:** this module alone writes the cells, and only with a successor that `Circuit` computed from the word that it replaces.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Admission, AdmitDecision, Circuit, Rejection, State};
use crate::errors::PackedReason;

/// An atomic 64-bit cell: the `AtomicU64` of the standard library or of loom.
pub(crate) trait AtomicCell {
    fn load(&self, ordering: Ordering) -> u64;
    fn store(&self, value: u64, ordering: Ordering);
    fn compare_exchange_weak(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

/// Observes transitions as they happen.
pub(crate) trait TransitionObserver {
    /// Makes a transition, or changes the moment of a state, by calling `swap`. Returns the result of `swap`, which is false if the circuit
    /// has changed in between. The observers of one breaker call `swap` one at a time, so that their records have the order of the
    /// transitions.
    fn change(&self, from: Circuit, to: Circuit, swap: &mut dyn FnMut() -> bool) -> bool;

    /// Prepares for the calls of the new epoch. Called just before the transition, while there are no such calls.
    fn prepare(&self, _to: Circuit) {}
}

/// A circuit shared between threads.
#[derive(Debug)]
pub(crate) struct AtomicState<A = AtomicU64> {
    word: A,
    /// The details of even epochs, and those of odd epochs.
    details: [Detail<A>; 2],
}

/// The parts of a circuit that are not in its word.
#[derive(Debug)]
pub(crate) struct Detail<A> {
    pub(crate) moment: A,
    pub(crate) reason: A,
}

impl AtomicState<AtomicU64> {
    pub(crate) const fn new(circuit: Circuit) -> Self {
        let (moment, reason) = (AtomicU64::new(circuit.moment()), AtomicU64::new(circuit.reason().bits()));
        let other = Detail { moment: AtomicU64::new(0), reason: AtomicU64::new(0) };
        Self::from_parts(AtomicU64::new(circuit.word().bits()), [Detail { moment, reason }, other])
    }
}

impl<A> AtomicState<A> {
    /// Creates a circuit from its cells, with the details of even epochs first.
    pub(crate) const fn from_parts(word: A, details: [Detail<A>; 2]) -> Self {
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
        // ORDERING: Acquire pairs with the Release of the transition that wrote the word: a thread that reads a state also sees what
        // happened before the transition. On x86 and Arm64 it costs as much as a relaxed load.
        State::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Loads the word with the details of its epoch.
    #[inline]
    pub(crate) fn load(&self) -> Circuit {
        loop {
            let word = self.word();
            let detail = self.detail(word);
            // ORDERING: Acquire pairs with the Release in `replace`: a thread that reads a detail of a later epoch also reads a later
            // epoch below.
            let (moment, reason) = (detail.moment.load(Ordering::Acquire), detail.reason.load(Ordering::Acquire));
            if State::from_bits(self.word.load(Ordering::Relaxed)).epoch() == word.epoch() {
                return Circuit::from_parts(word, moment, PackedReason::from_bits(reason));
            }
        }
    }

    /// Applies the decision of `admit`. `Err` contains the rejection, and the circuit on which it is based.
    pub(crate) fn acquire(
        &self,
        observer: &impl TransitionObserver,
        admit: impl Fn(Circuit) -> AdmitDecision,
    ) -> Result<Admission, (Circuit, Rejection)> {
        loop {
            let circuit = self.load();
            match admit(circuit) {
                AdmitDecision::Admitted => return Ok(circuit.word().admission()),
                AdmitDecision::Rejected(rejection) => return Err((circuit, rejection)),
                AdmitDecision::AdmittedWith(next) if self.replace(circuit, next, observer) => {
                    return Ok(next.word().admission());
                }
                AdmitDecision::AdmittedWith(_) => {}
            }
        }
    }

    /// Applies a step, and repeats it if another thread changes the circuit in between. Returns the new circuit; `None` if the step
    /// changes nothing.
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

    /// Replaces the circuit. Returns false if another thread has changed it in between.
    fn replace(&self, from: Circuit, to: Circuit, observer: &impl TransitionObserver) -> bool {
        let (old, new) = (from.word(), to.word());
        let swap = || {
            // ORDERING: AcqRel on success: Release publishes the cause of the transition, Acquire sees the cause of the replaced word.
            // Relaxed on failure, because the word is loaded again.
            self.word.compare_exchange_weak(old.bits(), new.bits(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if old.epoch() == new.epoch() && from.moment() == to.moment() {
            return swap();
        }
        observer.change(from, to, &mut || {
            // The observer excludes other transitions, so that the epoch does not change from here on.
            if self.word().epoch() != old.epoch() {
                return false;
            }
            let detail = self.detail(new);
            // ORDERING: Release pairs with the Acquire in `load`.
            detail.moment.store(to.moment(), Ordering::Release);
            detail.reason.store(to.reason().bits(), Ordering::Release);
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
