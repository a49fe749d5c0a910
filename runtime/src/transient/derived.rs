//! The types that derive [`Transient`]. They are registered, so that they are found in `anyhow::Error` and boxed errors, whose static
//! type is lost.

use std::error::Error;

use crate::{Transient, slices::KNOWN};

/// Returns the error as a [`Transient`], if it is of one type.
pub type Find = for<'a> fn(&'a (dyn Error + 'static)) -> Option<&'a dyn Transient>;

/// Returns the error as a [`Transient`], if its type derives it.
pub(super) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    KNOWN.iter().find_map(|find| find(error))
}
