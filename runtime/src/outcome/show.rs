//! Errors as `&dyn Error`, and the types in their chains of sources: `retry_if(io::Error)`, `failure_if(io::Error)`.

use std::error::Error;

use crate::{
    CircuitOpen, Transient,
    stack::Verdict,
    transient::{chain::sources, verdict_of},
};

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
pub fn wants_rejection(types: &[IsType]) -> bool {
    // Any of them tells as well as the one at hand.
    types.iter().any(|is_type| is_type(&CircuitOpen::EXAMPLE))
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

/// Looks at an error as `&dyn Error` where it can be, by the same order.
#[derive(Debug)]
pub struct LookAt<'a, E>(pub &'a E);

/// First choice: the type is an error.
pub trait LookAtError<'a> {
    /// The error.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: Error + 'static> LookAtError<'a> for &LookAt<'a, E> {
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        Some(self.0)
    }
}

/// Second choice: the type points to an error.
pub trait LookThrough<'a> {
    /// The error.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: std::ops::Deref<Target: AnyError>> LookThrough<'a> for &&LookAt<'a, E> {
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        Some(self.0.deref().any_error())
    }
}

/// What remains: a type in which there is nothing to see.
pub trait NoError<'a> {
    /// Nothing.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E> NoError<'a> for LookAt<'a, E> {
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        None
    }
}

/// Judges an error by what it says of itself, or, as `anyhow::Error` has to, by what is in its chain of sources.
///
/// `(&&Judge(error)).verdict()` takes the first of the traits below that fits, by the same order.
#[derive(Debug)]
pub struct Judge<'a, E>(pub &'a E);

/// First choice: the type says it.
pub trait ViaTransient {
    /// What the error means to a retry.
    fn verdict(&self) -> Verdict;
}

impl<E: Transient> ViaTransient for &Judge<'_, E> {
    fn verdict(&self) -> Verdict {
        verdict_of(self.0)
    }
}

/// Second choice: what it points to says it.
pub trait ViaDeref {
    /// What the error means to a retry.
    fn verdict(&self) -> Verdict;
}

impl<E: std::ops::Deref<Target: AnyError>> ViaDeref for &&Judge<'_, E> {
    fn verdict(&self) -> Verdict {
        verdict_of(self.0.deref().any_error())
    }
}

/// What remains: a type that says nothing, and an explanation.
pub trait MissingTransient {
    /// The error type.
    type Error;

    /// Never callable.
    fn verdict(&self) -> Verdict
    where
        Self::Error: Transient;
}

impl<E> MissingTransient for Judge<'_, E> {
    type Error = E;

    fn verdict(&self) -> Verdict
    where
        E: Transient,
    {
        verdict_of(self.0)
    }
}

/// Asks what is in an error whether it is a rejection: `(&Rejection(value)).is_rejection()`, by the same order.
#[derive(Debug)]
pub struct Rejection<'a, T: ?Sized>(pub &'a T);

/// First choice: the type says it.
pub trait SaysIfRejection {
    /// Whether it is one.
    fn is_rejection(&self) -> bool;
}

impl<T: Transient + ?Sized> SaysIfRejection for Rejection<'_, T> {
    fn is_rejection(&self) -> bool {
        self.0.is_rejection()
    }
}

/// What remains: a type that says nothing.
pub trait IsNoRejection {
    /// Not that anybody knew.
    fn is_rejection(&self) -> bool;
}

impl<T: ?Sized> IsNoRejection for &Rejection<'_, T> {
    fn is_rejection(&self) -> bool {
        false
    }
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
