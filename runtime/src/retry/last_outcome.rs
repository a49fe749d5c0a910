//! Storage for the outcome of an attempt during the sleep after it.
//!
//! A stop signal of an enclosing call can end the sleep; the outcome is then returned. An outcome is stored only if its type is `Send`. Any
//! other would make the future `!Send`, so it is dropped before the sleep.

use std::marker::PhantomData;

/// A probe for outcomes that are `Send`: `(&OutcomeProbe(&outcome)).storage()` resolves to the first of the traits below that the type
/// implements.
#[derive(Debug)]
pub struct OutcomeProbe<'a, O>(pub &'a O);

/// The first choice of the probe: the outcome is `Send`.
pub trait SendOutcome {
    /// Returns the storage that keeps the outcome.
    fn storage(&self) -> BoxOutcome;
}

impl<O: Send> SendOutcome for OutcomeProbe<'_, O> {
    #[inline]
    fn storage(&self) -> BoxOutcome {
        BoxOutcome
    }
}

/// The second choice of the probe: the outcome is not known to be `Send`.
pub trait LocalOutcome {
    /// Returns the storage that drops the outcome.
    fn storage(&self) -> DropOutcome;
}

impl<O> LocalOutcome for &OutcomeProbe<'_, O> {
    #[inline]
    fn storage(&self) -> DropOutcome {
        DropOutcome
    }
}

/// A storage that keeps an outcome in a box.
#[derive(Clone, Copy, Debug)]
pub struct BoxOutcome;

impl BoxOutcome {
    /// Stores the outcome if a signal can end the sleep. The outcome is boxed, so that the future does not grow.
    pub fn store<O>(self, outcome: O, can_be_stopped: bool) -> StoredOutcome<O> {
        StoredOutcome(can_be_stopped.then(|| Box::new(outcome)))
    }
}

/// A storage that drops an outcome.
#[derive(Clone, Copy, Debug)]
pub struct DropOutcome;

impl DropOutcome {
    /// Drops the outcome. The result keeps only the type.
    pub fn store<O>(self, outcome: O, _: bool) -> DroppedOutcome<O> {
        drop(outcome);
        DroppedOutcome(PhantomData)
    }
}

/// The outcome of the last attempt, if it was stored.
pub trait LastOutcome {
    /// The type of the outcome.
    type Outcome;

    /// Returns the outcome; `None` if it was not stored.
    fn take(self) -> Option<Self::Outcome>;
}

/// An outcome that is `Send`; empty if no signal can end the sleep.
#[derive(Debug)]
pub struct StoredOutcome<O>(Option<Box<O>>);

impl<O> LastOutcome for StoredOutcome<O> {
    type Outcome = O;

    fn take(self) -> Option<O> {
        self.0.map(|outcome| *outcome)
    }
}

/// An outcome that was dropped.
#[derive(Debug)]
pub struct DroppedOutcome<O>(PhantomData<fn() -> O>);

impl<O> LastOutcome for DroppedOutcome<O> {
    type Outcome = O;

    fn take(self) -> Option<O> {
        None
    }
}
