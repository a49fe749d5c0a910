//! Errors of any type as `&dyn Error`, and searches of their chains of sources: `retry_if(io::Error)`, `failure_if(io::Error)`.

use std::{error::Error, ops::Deref};

use crate::{CircuitOpen, Transient, transient::chain::sources};

/// Returns true if an error is of one type.
pub type IsType = fn(&(dyn Error + 'static)) -> bool;

/// Returns true if the error, or an error in its chain of sources, is of one of the types.
#[must_use]
pub fn contains_any(error: &(dyn Error + 'static), types: &[IsType]) -> bool {
    sources(error).any(|error| types.iter().any(|is_type| is_type(error)))
}

/// Returns true if one of the types is [`CircuitOpen`].
#[must_use]
pub fn wants_rejection(types: &[IsType]) -> bool {
    types.iter().any(|is_type| is_type(&CircuitOpen::EXAMPLE))
}

/// A probe of the traits that an error type implements, in place of specialization, which stable Rust lacks.
///
/// `(&&Probe(error)).method()` resolves to the first trait that the type implements, by the order in which a method call looks for
/// candidates: one for `&Probe`, one for `&&Probe`, one for `Probe`. Generated code imports the three traits of one question:
///
/// | question | method | `&Probe` | `&&Probe` | `Probe` |
/// | --- | --- | --- | --- | --- |
/// | its chain of sources | `chain_target` | [`ViaError`] | [`ViaErrorDeref`] | [`MissingError`] |
/// | the error as `&dyn Error`, if it is one | `look` | [`LookError`] | [`LookDeref`] | [`NoError`] |
/// | its verdict | `transient_target` | [`ViaTransient`] | [`ViaDeref`] | [`MissingTransient`] |
///
/// The third trait of the first and the last question returns the error itself, so that the call by the path of
/// [`ErrorChain`](crate::bounds::ErrorChain) or [`Transient`] that follows reports the missing implementation.
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

/// Otherwise the type is no error.
pub trait MissingError<'a> {
    /// The type.
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

/// Otherwise the type is no error.
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

/// Otherwise the type does not implement [`Transient`].
pub trait MissingTransient<'a> {
    /// The error type.
    type Error;

    /// Returns the error.
    fn transient_target(&self) -> &'a Self::Error;
}

impl<'a, E> MissingTransient<'a> for Probe<'a, E> {
    type Error = E;

    #[inline]
    fn transient_target(&self) -> &'a E {
        self.0
    }
}

/// The three spellings of `dyn Error` that a type may dereference to.
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
