//! The types that derive `Transient`, so that they are found inside of `anyhow::Error` and boxed errors, which have
//! forgotten what they hold.

use std::{error::Error, marker::PhantomData};

use crate::Transient;

/// A type to look for: `(&Known::<E>::new()).find(error)` finds it if it is an error, and nothing if it is none.
#[derive(Debug)]
pub struct Known<E>(PhantomData<E>);

impl<E> Known<E> {
    /// The type.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a value of no use")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// First choice: the type is an error.
pub trait FindError {
    /// The error, if it is of this type.
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;
}

impl<E: Error + Transient + 'static> FindError for Known<E> {
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        error.downcast_ref::<E>().map(|error| error as _)
    }
}

/// What remains: a type that is never inside of an error.
pub trait FindNothing {
    /// Nothing.
    fn find<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;
}

impl<E> FindNothing for &Known<E> {
    fn find<'a>(&self, _: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        None
    }
}
