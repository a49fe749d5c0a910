//! Probes of the types in `#[derive(Transient)]`: the first trait that a type implements is resolved, by the order in which a method call
//! looks for candidates.

use std::{error::Error, marker::PhantomData};

use crate::Transient;

/// A field that may be [`Transient`]: `(&Rejection(value)).is_rejection()` returns false if it is not.
#[derive(Debug)]
pub struct Rejection<'a, T: ?Sized>(pub &'a T);

/// First choice: the field is [`Transient`].
pub trait TransientRejection {
    /// Returns true if the field is a rejection.
    fn is_rejection(&self) -> bool;
}

impl<T: Transient + ?Sized> TransientRejection for Rejection<'_, T> {
    fn is_rejection(&self) -> bool {
        self.0.is_rejection()
    }
}

/// Otherwise the field is no rejection.
pub trait NoRejection {
    /// Returns false.
    fn is_rejection(&self) -> bool;
}

impl<T: ?Sized> NoRejection for &Rejection<'_, T> {
    fn is_rejection(&self) -> bool {
        false
    }
}

/// A type to find in chains of sources: `(&DerivedType::<E>::new()).find(error)` returns `None` if `E` does not implement [`Error`].
#[derive(Debug)]
pub struct DerivedType<E>(PhantomData<E>);

impl<E> DerivedType<E> {
    /// The type.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a default value has no use")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// First choice: the type implements [`Error`].
pub trait FindError {
    /// Returns the error, if it is of this type.
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;
}

impl<E: Error + Transient + 'static> FindError for DerivedType<E> {
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        error.downcast_ref::<E>().map(|error| error as _)
    }
}

/// Otherwise the type never occurs in a chain of sources.
pub trait FindNothing {
    /// Returns `None`.
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;
}

impl<E> FindNothing for &DerivedType<E> {
    fn find<'a>(&self, _: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        None
    }
}
