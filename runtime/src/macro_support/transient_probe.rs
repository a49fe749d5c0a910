//! Probes for `#[derive(Transient)]`. By autoref-based specialization, a method call resolves to the first trait that the type implements.

use std::{error::Error, fmt::Display, marker::PhantomData};

use super::Probe;
use crate::{Transient, transient::chain::downcast};

/// A probe for a field that may be [`Transient`]: `(&Inner(value)).is_rejection()` returns the default of the trait if the field is not.
#[derive(Debug)]
pub struct Inner<'a, T: ?Sized>(pub &'a T);

/// First choice: the field is [`Transient`].
pub trait TransientInner {
    /// Returns true if the field is a rejection.
    fn is_rejection(&self) -> bool;

    /// Returns false if the field reports that the request certainly had no effect.
    fn may_have_taken_effect(&self) -> bool;
}

impl<T: Transient + ?Sized> TransientInner for Inner<'_, T> {
    fn is_rejection(&self) -> bool {
        self.0.is_rejection()
    }

    fn may_have_taken_effect(&self) -> bool {
        self.0.may_have_taken_effect()
    }
}

/// Last choice: the field is not [`Transient`].
pub trait OtherInner {
    /// Returns false.
    fn is_rejection(&self) -> bool;

    /// Returns true.
    fn may_have_taken_effect(&self) -> bool;
}

impl<T: ?Sized> OtherInner for &Inner<'_, T> {
    fn is_rejection(&self) -> bool {
        false
    }

    fn may_have_taken_effect(&self) -> bool {
        true
    }
}

/// First choice of `(&&Probe(value)).as_dyn_display()`: the type implements [`Display`].
pub trait DisplayValue<'a> {
    /// Returns the value.
    fn as_dyn_display(&self) -> Option<&'a dyn Display>;
}

impl<'a, E: Display> DisplayValue<'a> for &Probe<'a, E> {
    fn as_dyn_display(&self) -> Option<&'a dyn Display> {
        Some(self.0)
    }
}

/// Last choice: the type does not implement [`Display`].
pub trait NoDisplayValue<'a> {
    /// Returns `None`.
    fn as_dyn_display(&self) -> Option<&'a dyn Display>;
}

impl<'a, E> NoDisplayValue<'a> for Probe<'a, E> {
    fn as_dyn_display(&self) -> Option<&'a dyn Display> {
        None
    }
}

/// A probe for a type in chains of sources: `(&DerivedType::<E>::new()).find(error)` returns `None` if `E` does not implement [`Error`].
#[derive(Debug)]
pub struct DerivedType<E>(PhantomData<E>);

impl<E> DerivedType<E> {
    /// Creates the probe for `E`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a default value has no use")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// First choice: the type implements [`Error`].
pub trait FindError {
    /// Returns the error as [`Transient`], if it is of this type, or a pointer to it.
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;
}

impl<E: Error + Transient + 'static> FindError for DerivedType<E> {
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        downcast::<E>(error)
    }
}

/// Last choice: the type cannot occur in a chain of sources.
pub trait FindNothing {
    /// Returns `None`.
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;
}

impl<E> FindNothing for &DerivedType<E> {
    fn find<'a>(&self, _: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        None
    }
}
