//! The error types that derive [`Transient`], for the search inside `anyhow::Error` and boxed errors, which erase the static type.

use std::error::Error;

use crate::{Transient, slices::slices};

/// A function that returns the error as [`Transient`] if it is of one certain type.
pub type Find = for<'a> fn(&'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;

slices! {
    /// One function for each error type that derives `Transient`.
    KNOWN = STEADFAST_0_1_0_KNOWN: [Find];
}

/// Returns the error as [`Transient`], if its type derives the trait and has no generic parameters.
pub(crate) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    KNOWN.iter().find_map(|find| find(error))
}
