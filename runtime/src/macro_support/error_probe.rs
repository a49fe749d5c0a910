//! The conversion of errors of any type to `&dyn Error`, and the search in their chains of sources, as in `retry_if(io::Error)`.

use std::{error::Error, fmt::Display, ops::Deref};

use crate::{Transient, errors::CIRCUIT_OPEN_EXAMPLE, transient::chain::sources};

/// A function that returns true if an error is of one certain type.
pub type IsType = fn(&(dyn Error + 'static)) -> bool;

/// Returns true if the error, or an error in its chain of sources, is of one of the types.
#[must_use]
pub fn contains_any(error: &(dyn Error + 'static), types: &[IsType]) -> bool {
    sources(error).any(|error| types.iter().any(|is_type| is_type(error)))
}

/// Returns true if one of the types is [`CircuitOpen`](crate::CircuitOpen).
#[must_use]
pub fn includes_circuit_open(types: &[IsType]) -> bool {
    types.iter().any(|is_type| is_type(&CIRCUIT_OPEN_EXAMPLE))
}

/// A probe for the traits that an error type implements, by autoref-based specialization.
///
/// `(&&Probe(error)).method()` resolves to the first trait that is implemented, because a method call considers the implementations for
/// `&Probe` first, then those for `&&Probe`, and then those for `Probe`. Generated code imports the three traits of one row:
///
/// | result | method | `&Probe` | `&&Probe` | `Probe` |
/// | --- | --- | --- | --- | --- |
/// | the start of the chain of sources | `chain_target` | [`ViaError`] | [`ViaErrorDeref`] | [`MissingError`] |
/// | the error as `&dyn Error`, if it implements [`Error`] | `look` | [`LookError`] | [`LookDeref`] | [`NoError`] |
/// | the value whose [`Transient`] gives the verdict | `transient_target` | [`ViaTransient`] | [`ViaDeref`] | [`MissingTransient`] |
///
/// The error in an outcome as `&dyn Display`, `error_display`, needs two traits only: [`DisplayError`] for `&Probe`, [`NoDisplay`] for `Probe`.
/// The error in an outcome as `&dyn Error`, `outcome_error`, needs [`OutcomeError`], [`OutcomeDeref`] and [`NoOutcomeError`].
///
/// In the first and the last row, the third trait returns the error itself, so that the following call through the path of
/// [`ErrorChain`](crate::bounds::ErrorChain) or [`Transient`] reports the missing implementation.
#[derive(Debug)]
pub struct Probe<'a, E>(pub &'a E);

/// First choice: the type implements [`Error`].
pub trait ViaError<'a> {
    /// The error type.
    type Error;

    /// Returns the error.
    fn chain_target(&self) -> &'a Self::Error;
}

impl<'a, E: Error + 'static> ViaError<'a> for &Probe<'a, E> {
    type Error = E;

    #[inline]
    fn chain_target(&self) -> &'a E {
        self.0
    }
}

/// Second choice: the type dereferences to a `dyn Error`, as `anyhow::Error` and boxed errors do.
pub trait ViaErrorDeref<'a> {
    /// Returns the error that the type dereferences to.
    fn chain_target(&self) -> &'a (dyn Error + 'static);
}

impl<'a, E: Deref<Target: DynError>> ViaErrorDeref<'a> for &&Probe<'a, E> {
    #[inline]
    fn chain_target(&self) -> &'a (dyn Error + 'static) {
        self.0.deref().as_dyn()
    }
}

/// Last choice: the type neither implements [`Error`] nor dereferences to a `dyn Error`.
pub trait MissingError<'a> {
    /// The type of the value.
    type Error;

    /// Returns the value.
    fn chain_target(&self) -> &'a Self::Error;
}

impl<'a, E> MissingError<'a> for Probe<'a, E> {
    type Error = E;

    #[inline]
    fn chain_target(&self) -> &'a E {
        self.0
    }
}

/// First choice: the type implements [`Error`].
pub trait LookError<'a> {
    /// Returns the error.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: Error + 'static> LookError<'a> for &Probe<'a, E> {
    #[inline]
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        Some(self.0)
    }
}

/// Second choice: the type dereferences to a `dyn Error`.
pub trait LookDeref<'a> {
    /// Returns the error that the type dereferences to.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: Deref<Target: DynError>> LookDeref<'a> for &&Probe<'a, E> {
    #[inline]
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        Some(self.0.deref().as_dyn())
    }
}

/// Last choice: the type neither implements [`Error`] nor dereferences to a `dyn Error`.
pub trait NoError<'a> {
    /// Returns `None`.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E> NoError<'a> for Probe<'a, E> {
    #[inline]
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        None
    }
}

/// First choice: the outcome is a `Result` whose error implements [`Display`].
pub trait DisplayError<'a> {
    /// Returns the error.
    fn error_display(&self) -> Option<&'a dyn Display>;
}

impl<'a, T, E: Display> DisplayError<'a> for &Probe<'a, Result<T, E>> {
    #[inline]
    fn error_display(&self) -> Option<&'a dyn Display> {
        self.0.as_ref().err().map(|error| error as _)
    }
}

/// Last choice: the outcome has no error, or the error does not implement [`Display`].
pub trait NoDisplay<'a> {
    /// Returns `None`.
    fn error_display(&self) -> Option<&'a dyn Display>;
}

impl<'a, O> NoDisplay<'a> for Probe<'a, O> {
    #[inline]
    fn error_display(&self) -> Option<&'a dyn Display> {
        None
    }
}

/// First choice: the outcome is a `Result` whose error implements [`Error`].
pub trait OutcomeError<'a> {
    /// Returns the error.
    fn outcome_error(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, T, E: Error + 'static> OutcomeError<'a> for &Probe<'a, Result<T, E>> {
    #[inline]
    fn outcome_error(&self) -> Option<&'a (dyn Error + 'static)> {
        self.0.as_ref().err().map(|error| error as _)
    }
}

/// Second choice: the outcome is a `Result` whose error dereferences to a `dyn Error`.
pub trait OutcomeDeref<'a> {
    /// Returns the error that the error dereferences to.
    fn outcome_error(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, T, E: Deref<Target: DynError>> OutcomeDeref<'a> for &&Probe<'a, Result<T, E>> {
    #[inline]
    fn outcome_error(&self) -> Option<&'a (dyn Error + 'static)> {
        self.0.as_ref().err().map(|error| error.deref().as_dyn())
    }
}

/// Last choice: the outcome has no error, or the error neither implements [`Error`] nor dereferences to a `dyn Error`.
pub trait NoOutcomeError<'a> {
    /// Returns `None`.
    fn outcome_error(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, O> NoOutcomeError<'a> for Probe<'a, O> {
    #[inline]
    fn outcome_error(&self) -> Option<&'a (dyn Error + 'static)> {
        None
    }
}

/// First choice: the type implements [`Transient`].
pub trait ViaTransient<'a> {
    /// The error type.
    type Error;

    /// Returns the error.
    fn transient_target(&self) -> &'a Self::Error;
}

impl<'a, E: Transient> ViaTransient<'a> for &Probe<'a, E> {
    type Error = E;

    #[inline]
    fn transient_target(&self) -> &'a E {
        self.0
    }
}

/// Second choice: the type dereferences to a `dyn Error`, whose chain of sources is searched.
pub trait ViaDeref<'a> {
    /// Returns the error that the type dereferences to.
    fn transient_target(&self) -> &'a (dyn Error + 'static);
}

impl<'a, E: Deref<Target: DynError>> ViaDeref<'a> for &&Probe<'a, E> {
    #[inline]
    fn transient_target(&self) -> &'a (dyn Error + 'static) {
        self.0.deref().as_dyn()
    }
}

/// Last choice: the type neither implements [`Transient`] nor dereferences to a `dyn Error`.
pub trait MissingTransient<'a> {
    /// The type of the value.
    type Error;

    /// Returns the value.
    fn transient_target(&self) -> &'a Self::Error;
}

impl<'a, E> MissingTransient<'a> for Probe<'a, E> {
    type Error = E;

    #[inline]
    fn transient_target(&self) -> &'a E {
        self.0
    }
}

/// The three forms of `dyn Error` that a type can dereference to.
pub trait DynError {
    /// Returns the error.
    fn as_dyn(&self) -> &(dyn Error + 'static);
}

impl DynError for dyn Error {
    fn as_dyn(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl DynError for dyn Error + Send {
    fn as_dyn(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl DynError for dyn Error + Send + Sync {
    fn as_dyn(&self) -> &(dyn Error + 'static) {
        self
    }
}
