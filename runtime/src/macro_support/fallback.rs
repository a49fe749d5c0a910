//! The steps of `#[fallback]`.

use std::{error::Error, future::Future};

use super::{IsType, contains_any};
use crate::fallback::emit;

/// Without a condition: every `Err` and every `None` is a failure.
#[inline]
#[must_use]
pub const fn is_failure<E>(error: Option<&E>) -> bool {
    error.is_some()
}

/// `if = predicate`
#[inline]
pub fn is_failure_if<E>(error: Option<&E>, predicate: impl FnOnce(&E) -> bool) -> bool {
    error.is_some_and(predicate)
}

/// `if(Type, ...)`
#[inline]
pub fn is_failure_by_chain<E>(error: Option<&E>, show: fn(&E) -> &(dyn Error + 'static), types: &[IsType]) -> bool {
    error.is_some_and(|error| contains_any(show(error), types))
}

/// Emits the event that a fallback is called. `look` returns the error if it implements [`Error`].
#[cold]
pub fn emit_fallback<E>(
    error: Option<&E>,
    function: &'static str,
    fallback: &'static str,
    look: fn(&E) -> Option<&(dyn Error + 'static)>,
) {
    emit(function, fallback, error.and_then(look));
}

/// A probe that distinguishes a fallback that returns a future from one that returns the value.
///
/// `(&&AnswerProbe(&answer)).kind()` resolves to the first of the traits below that the type implements, by the order in which a method
/// call looks for candidates.
#[derive(Debug)]
pub struct AnswerProbe<'a, A>(pub &'a A);

/// First choice: a future.
pub trait FutureAnswer {
    /// Returns the kind.
    fn kind(&self) -> AnswerIsFuture;
}

impl<A: Future> FutureAnswer for &AnswerProbe<'_, A> {
    fn kind(&self) -> AnswerIsFuture {
        AnswerIsFuture
    }
}

/// Otherwise: the value.
pub trait ReadyAnswer {
    /// Returns the kind.
    fn kind(&self) -> AnswerIsReady;
}

impl<A> ReadyAnswer for AnswerProbe<'_, A> {
    fn kind(&self) -> AnswerIsReady {
        AnswerIsReady
    }
}

/// An answer that is a future.
#[derive(Clone, Copy, Debug)]
pub struct AnswerIsFuture;

impl AnswerIsFuture {
    /// Returns the future unchanged.
    pub fn into_future<F: Future>(self, answer: F) -> F {
        answer
    }
}

/// An answer that is the value.
#[derive(Clone, Copy, Debug)]
pub struct AnswerIsReady;

impl AnswerIsReady {
    /// Returns a future of the value.
    pub fn into_future<A>(self, answer: A) -> std::future::Ready<A> {
        std::future::ready(answer)
    }
}
