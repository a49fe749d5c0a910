//! The outcome of an attempt during the sleep after it.
//!
//! A stop signal further out can end the sleep, and then the outcome is to be returned. It is kept if it is `Send`; else the future would
//! not be `Send` because of it.

use std::marker::PhantomData;

/// Finds out how to keep an outcome: `(&Keep(&outcome)).kind()` takes the first of the traits below that fits.
#[derive(Debug)]
pub struct Keep<'a, O>(pub &'a O);

/// First choice: the outcome is `Send`.
pub trait KeepsSend {
    /// How to keep it.
    fn kind(&self) -> Keeps;
}

impl<O: Send> KeepsSend for Keep<'_, O> {
    fn kind(&self) -> Keeps {
        Keeps
    }
}

/// Second choice: it is not, as far as is known here.
pub trait KeepsNothing {
    /// How to drop it.
    fn kind(&self) -> Drops;
}

impl<O> KeepsNothing for &Keep<'_, O> {
    fn kind(&self) -> Drops {
        Drops
    }
}

/// Keeps an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Keeps;

impl Keeps {
    /// The outcome until after the sleep, if something can end the sleep. In a box, so that the future is not larger for it.
    pub fn keep<O>(self, outcome: O, is_wanted: bool) -> KeyedEntry<O> {
        KeyedEntry(is_wanted.then(|| Box::new(outcome)))
    }
}

/// Drops an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Drops;

impl Drops {
    /// The type of the outcome, and nothing else.
    pub fn keep<O>(self, outcome: O, _: bool) -> Dropped<O> {
        drop(outcome);
        Dropped(PhantomData)
    }
}

/// What is there of the outcome of the last attempt.
pub trait Last {
    /// The outcome.
    type Outcome;

    /// The outcome, if it was kept.
    fn take(self) -> Option<Self::Outcome>;
}

/// An outcome that was kept.
#[derive(Debug)]
pub struct KeyedEntry<O>(Option<Box<O>>);

impl<O> Last for KeyedEntry<O> {
    type Outcome = O;

    fn take(self) -> Option<O> {
        self.0.map(|outcome| *outcome)
    }
}

/// An outcome that was dropped.
#[derive(Debug)]
pub struct Dropped<O>(PhantomData<fn() -> O>);

impl<O> Last for Dropped<O> {
    type Outcome = O;

    fn take(self) -> Option<O> {
        None
    }
}
