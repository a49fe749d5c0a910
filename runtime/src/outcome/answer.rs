//! What the expansion of `#[fallback]` asks.

use std::{error::Error, future::Future};

use super::{CallResult, IsType, is_any_of};
use crate::fallback::emit;

/// Without a condition: every `Err` and every `None`.
#[inline]
pub fn failed<O: CallResult>(outcome: &O) -> bool {
    outcome.error().is_some()
}

/// `if = predicate`
#[inline]
pub fn failed_by_error<O: CallResult>(outcome: &O, predicate: impl FnOnce(&O::Error) -> bool) -> bool {
    outcome.error().is_some_and(predicate)
}

/// `if(Type, ...)`
#[inline]
pub fn failed_by_chain<O: CallResult>(
    outcome: &O,
    show: fn(&O::Error) -> &(dyn Error + 'static),
    types: &[IsType],
) -> bool {
    outcome.error().is_some_and(|error| is_any_of(show(error), types))
}

/// Tells that a fallback is called.
#[cold]
pub fn fell_back<O: CallResult>(
    failed: &O,
    function: &'static str,
    fallback: &'static str,
    look: fn(&O::Error) -> Option<&(dyn Error + 'static)>,
) {
    emit(function, fallback, failed.error().and_then(look));
}

/// The error of a failure, or what is no failure as it was.
#[inline]
pub fn into_error<O: CallResult>(failed: O) -> Result<O::Error, O> {
    failed.into_error()
}

/// Calls a closure over the error.
#[inline]
pub fn apply<E, A>(error: E, closure: impl FnOnce(E) -> A) -> A {
    closure(error)
}

/// What a fallback returns: the same as the function that it stands in for.
#[diagnostic::on_unimplemented(
    message = "a fallback must return what the function returns, `{R}`, and this one returns `{Self}`",
    label = "returns `{Self}`",
    note = "where the function is `async`, a fallback may be `async` or not; where it is not, it can't be"
)]
pub trait Answers<R> {
    /// The value.
    fn value(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<R> Answers<R> for R {
    fn value(self) -> R {
        self
    }
}

/// What a fallback has returned.
#[inline]
pub fn answer<R, A: Answers<R>>(answer: A) -> R {
    answer.value()
}

/// What a fallback of an `async` function has returned: the value, or a future of it.
///
/// `(&&Answer(&answer)).kind()` takes the first of the traits below that fits, by the order in which method calls look for
/// one.
#[derive(Debug)]
pub struct Answer<'a, A>(pub &'a A);

/// First choice: a future.
pub trait FutureAnswer {
    /// What to do with it.
    fn kind(&self) -> Later;
}

impl<A: Future> FutureAnswer for &Answer<'_, A> {
    fn kind(&self) -> Later {
        Later
    }
}

/// What remains: the value.
pub trait ReadyAnswer {
    /// What to do with it.
    fn kind(&self) -> Now;
}

impl<A> ReadyAnswer for Answer<'_, A> {
    fn kind(&self) -> Now {
        Now
    }
}

/// Waits for a future.
#[derive(Clone, Copy, Debug)]
pub struct Later;

impl Later {
    /// A future of the answer.
    pub fn settle<F: Future>(self, answer: F) -> F {
        answer
    }
}

/// Takes a value as it is.
#[derive(Clone, Copy, Debug)]
pub struct Now;

impl Now {
    /// A future of the answer.
    pub fn settle<A>(self, answer: A) -> std::future::Ready<A> {
        std::future::ready(answer)
    }
}
