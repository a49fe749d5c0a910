//! What a function's returned value means to a retry and to a breaker.
//!
//! Everything here is called from expansions with the span of the user's return type, so that a type that does not fit
//! is reported there.

use std::error::Error;

use crate::{
    CircuitOpen, Permit, Transient,
    breaker::Outcome,
    retry::{attempts::Verdict, verdict_of},
    transient::sources,
};

/// A returned value that says by itself whether the call failed: a `Result` or an `Option`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the call failed",
    label = "neither a `Result` nor an `Option`",
    note = "return a `Result` or an `Option`, or say which values are a failure: `failure_if = |value| ...`"
)]
pub trait Fails {
    /// Whether it is an `Err` or a `None`.
    fn failed(&self) -> bool;
}

impl<T, E> Fails for Result<T, E> {
    fn failed(&self) -> bool {
        self.is_err()
    }
}

impl<T> Fails for Option<T> {
    fn failed(&self) -> bool {
        self.is_none()
    }
}

/// A returned value that says by itself whether another attempt is worth it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether another attempt is worth it",
    label = "neither a `Result` nor an `Option`",
    note = "return a `Result` or an `Option`, or say which values to try again for: `retry_if_result = |value| ...`"
)]
pub trait Retryable {
    /// What it means to a retry.
    fn verdict(&self) -> Verdict;
}

impl<T, E: Transient> Retryable for Result<T, E> {
    fn verdict(&self) -> Verdict {
        self.as_ref().err().map_or(Verdict::Final, verdict_of)
    }
}

/// `None` is always worth another attempt.
impl<T> Retryable for Option<T> {
    fn verdict(&self) -> Verdict {
        Verdict::transient_if(self.is_none())
    }
}

/// A returned value with an error to look at: a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no error to look at",
    label = "not a `Result`",
    note = "for a retry, look at the whole value: `retry_if_result = |value| ...`"
)]
pub trait HasError {
    /// The error type.
    type Error;

    /// The error, if there is one.
    fn error(&self) -> Option<&Self::Error>;
}

impl<T, E> HasError for Result<T, E> {
    type Error = E;

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// A returned value that can carry the rejection `R`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a rejection",
    label = "neither a `Result` nor an `Option`",
    note = "a call that the circuit does not admit returns an `Err` or a `None`, so the function has to return one of them"
)]
pub trait FromRejection<R> {
    /// The value that a rejected call returns.
    fn from_rejection(rejection: R) -> Self;
}

impl<T, E: CarriesRejection<R>, R> FromRejection<R> for Result<T, E> {
    fn from_rejection(rejection: R) -> Self {
        Err(E::carry(rejection))
    }
}

impl<T, R> FromRejection<R> for Option<T> {
    fn from_rejection(_: R) -> Self {
        None
    }
}

/// An error type that can carry the rejection `R`: `From<R>`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry a rejection: it has no `From<{R}>`",
    label = "`From<{R}>` is missing for its error type",
    note = "with thiserror, add a variant `#[error(transparent)] Open(#[from] {R})`; or write `impl From<{R}> for {Self}`"
)]
pub trait CarriesRejection<R> {
    /// The error that a rejected call returns.
    fn carry(rejection: R) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<R>, R> CarriesRejection<R> for E {
    fn carry(rejection: R) -> Self {
        rejection.into()
    }
}

// What the expansion of `#[retry]` asks.

/// Without `retry_if`: what the type says.
#[inline]
pub fn by_type<O: Retryable>(outcome: &O) -> Verdict {
    outcome.verdict()
}

/// `retry_if = any`.
#[inline]
pub fn by_any<O: Fails>(outcome: &O) -> Verdict {
    Verdict::transient_if(outcome.failed())
}

/// `retry_if = predicate`.
#[inline]
pub fn by_error<O: HasError>(outcome: &O, predicate: impl FnOnce(&O::Error) -> bool) -> Verdict {
    Verdict::transient_if(outcome.error().is_some_and(predicate))
}

/// `retry_if_result = predicate`.
#[inline]
pub fn by_value<O>(outcome: &O, predicate: impl FnOnce(&O) -> bool) -> Verdict {
    Verdict::transient_if(predicate(outcome))
}

// What the expansion of `#[circuit_breaker]` asks.

/// Without `failure_if`: every `Err` and every `None` is a failure.
#[inline]
pub fn end<O: Fails>(permit: Permit<'_>, outcome: &O) {
    permit.end(if outcome.failed() { Outcome::Failure } else { Outcome::Success });
}

/// `failure_if` over the error: the errors that it leaves out are neutral.
#[inline]
pub fn end_by_error<O: HasError>(permit: Permit<'_>, outcome: &O, predicate: impl FnOnce(&O::Error) -> bool) {
    permit.end(match outcome.error() {
        None => Outcome::Success,
        Some(error) if predicate(error) => Outcome::Failure,
        Some(_) => Outcome::Neutral,
    });
}

/// What a call that the circuit does not admit returns.
#[inline]
pub fn reject<O: FromRejection<CircuitOpen>>(open: &CircuitOpen) -> O {
    O::from_rejection(open.clone())
}

// Error types in a chain of sources: `retry_if(io::Error)`, `failure_if(io::Error)`.

/// Asks whether an error is of one type.
pub type IsType = fn(&(dyn Error + 'static)) -> bool;

/// Whether the error is an `E`.
#[must_use]
pub fn is_type<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>()
}

/// Whether the error, or anything in its chain of sources, is of one of the types.
#[must_use]
pub fn is_any_of(error: &(dyn Error + 'static), types: &[IsType]) -> bool {
    sources(error).any(|error| types.iter().any(|is_type| is_type(error)))
}

/// Whether a rejection is of one of the types.
#[must_use]
pub fn wants_rejection(open: &CircuitOpen, types: &[IsType]) -> bool {
    is_any_of(open, types)
}

/// Pins the type of an `async` block: stands in a `return` that is never reached.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the expansion returns this under `if false`")
}

/// An owned argument of a retried function, which each attempt gets for itself.
///
/// Cloned for every attempt but the last that the policy allows, which gets the caller's own.
#[derive(Debug)]
pub struct Argument<T>(Option<T>);

impl<T: CloneForRetry> Argument<T> {
    /// Takes the caller's value.
    pub const fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value for the next attempt.
    pub fn next(&mut self, is_last: bool) -> T {
        let value = if is_last { self.0.take() } else { self.0.as_ref().map(T::clone_for_retry) };
        value.unwrap_or_else(|| unreachable!("no attempt follows the last"))
    }
}

/// `Clone`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "a retry needs this argument more than once, and `{Self}` is not `Clone`",
    label = "the body moves or changes it, so each attempt needs one of its own",
    note = "take it by reference, or make it `Clone`"
)]
pub trait CloneForRetry: Sized {
    /// A clone.
    #[must_use]
    fn clone_for_retry(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> CloneForRetry for T {
    fn clone_for_retry(&self) -> Self {
        self.clone()
    }
}

/// Shows an error as `&dyn Error`, whether it is an [`Error`] itself or, as `anyhow::Error` and boxed errors do, points
/// to one.
///
/// `(&&AsError(error)).as_error()` takes the first of the traits below that fits, by the order in which method calls
/// look for one.
#[derive(Debug)]
pub struct AsError<'a, E>(pub &'a E);

/// First choice: the type is an error.
pub trait IsError<'a> {
    /// The error.
    fn as_error(&self) -> &'a (dyn Error + 'static);
}

impl<'a, E: Error + 'static> IsError<'a> for &AsError<'a, E> {
    fn as_error(&self) -> &'a (dyn Error + 'static) {
        self.0
    }
}

/// Second choice: the type points to an error.
pub trait PointsToError<'a> {
    /// The error.
    fn as_error(&self) -> &'a (dyn Error + 'static);
}

impl<'a, E: std::ops::Deref<Target: AnyError>> PointsToError<'a> for &&AsError<'a, E> {
    fn as_error(&self) -> &'a (dyn Error + 'static) {
        self.0.deref().any_error()
    }
}

/// What remains: a type that is no error, and an explanation.
pub trait IsNoError<'a> {
    /// The error type.
    type Error;

    /// Never callable.
    fn as_error(&self) -> &'a (dyn Error + 'static)
    where
        Self::Error: HasChain;
}

impl<'a, E> IsNoError<'a> for AsError<'a, E> {
    type Error = E;

    fn as_error(&self) -> &'a (dyn Error + 'static)
    where
        E: HasChain,
    {
        self.0.chain()
    }
}

/// An error with a chain of sources. Nothing implements it; it is there for what it says when it is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error: it has no chain of sources in which to look for a type",
    label = "does not implement `std::error::Error`",
    note = "implement `std::error::Error` for it, or take a predicate: `retry_if = |error| ...`, `failure_if = |error| ...`"
)]
pub trait HasChain {
    /// The error.
    fn chain(&self) -> &(dyn Error + 'static);
}

/// The three ways to write "any error".
pub trait AnyError {
    /// The error.
    fn any_error(&self) -> &(dyn Error + 'static);
}

impl AnyError for dyn Error {
    fn any_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AnyError for dyn Error + Send {
    fn any_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AnyError for dyn Error + Send + Sync {
    fn any_error(&self) -> &(dyn Error + 'static) {
        self
    }
}
