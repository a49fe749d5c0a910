//! The error types that are recognized inside `anyhow::Error` and boxed errors, whose static type is erased.

use std::error::Error;

use crate::{Transient, slices::slices};

/// Returns the error as [`Transient`] if it is of the one type that this function recognizes.
pub type Find = for<'a> fn(&'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;

slices! {
    /// One function for each error type that derives `Transient`.
    KNOWN = STEADFAST_0_1_0_KNOWN: [Find];
}

/// The error as one of the known types.
pub(in crate::transient) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    KNOWN.iter().find_map(|find| find(error))
}
