//! The functions for `#[fallback]`: its condition, its event, and fallbacks that are `async` or not.

use std::{error::Error, fmt::Display, future::Future};

use super::{IsType, contains_any};
use crate::fallback::emit;

/// Returns true if there is an error and the predicate accepts it, for `#[fallback(if = predicate)]`.
#[inline]
pub fn is_failure_if<E>(error: Option<&E>, predicate: impl FnOnce(&E) -> bool) -> bool {
    error.is_some_and(predicate)
}

/// Returns true if there is an error with one of the types in its chain of sources, for `#[fallback(if(Type, ...))]`.
#[inline]
pub fn is_failure_by_chain<E>(
    error: Option<&E>,
    as_dyn_error: fn(&E) -> &(dyn Error + 'static),
    types: &[IsType],
) -> bool {
    error.is_some_and(|error| contains_any(as_dyn_error(error), types))
}

/// Emits the event for a call of a fallback. `error` returns the error in the outcome if it implements [`Display`].
#[cold]
pub fn emit_fallback<O>(
    outcome: &O,
    error: impl FnOnce(&O) -> Option<&dyn Display>,
    function: &'static str,
    fallback: &'static str,
) {
    emit(function, fallback, error(outcome));
}

/// A probe that distinguishes a fallback that returns a future from one that returns the value.
///
/// `(&&AnswerProbe(&answer)).kind()` resolves to the first of the traits below that the type implements, by autoref-based specialization.
#[derive(Debug)]
pub struct AnswerProbe<'a, A>(pub &'a A);

/// First choice: the fallback returned a future.
pub trait FutureAnswer {
    /// Returns the marker of a future.
    fn kind(&self) -> AnswerIsFuture;
}

impl<A: Future> FutureAnswer for &AnswerProbe<'_, A> {
    fn kind(&self) -> AnswerIsFuture {
        AnswerIsFuture
    }
}

/// Last choice: the fallback returned the value.
pub trait ReadyAnswer {
    /// Returns the marker of a value.
    fn kind(&self) -> AnswerIsReady;
}

impl<A> ReadyAnswer for AnswerProbe<'_, A> {
    fn kind(&self) -> AnswerIsReady {
        AnswerIsReady
    }
}

/// The marker of a fallback that returned a future.
#[derive(Clone, Copy, Debug)]
pub struct AnswerIsFuture;

impl AnswerIsFuture {
    /// Returns the future unchanged.
    pub fn into_future<F: Future>(self, answer: F) -> F {
        answer
    }
}

/// The marker of a fallback that returned the value.
#[derive(Clone, Copy, Debug)]
pub struct AnswerIsReady;

impl AnswerIsReady {
    /// Wraps the value in a future that is ready.
    pub fn into_future<A>(self, answer: A) -> std::future::Ready<A> {
        std::future::ready(answer)
    }
}
