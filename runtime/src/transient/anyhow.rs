use std::{fmt::Display, time::Duration};

use anyhow::Error;

use crate::Transient;

/// Delegates to the first error of a recognized type in the chain of sources; permanent if there is none.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        (**self).is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        (**self).retry_after()
    }

    fn is_rejection(&self) -> bool {
        (**self).is_rejection()
    }

    fn may_have_taken_effect(&self) -> bool {
        (**self).may_have_taken_effect()
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&**self)
    }
}
