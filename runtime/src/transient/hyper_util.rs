use std::{error::Error as _, fmt::Display, time::Duration};

use hyper_util::client::legacy::Error;

use super::chain::{first_recognized, is_rejection};
use crate::Transient;

/// Delegates to the first error of a recognized type among the sources, such as the `hyper::Error` of a connection or the `io::Error` of a
/// failed look-up; permanent if there is none.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        self.source().and_then(first_recognized).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        first_recognized(self.source()?)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    /// Returns false for a failure to connect, and if a source had no effect.
    fn may_have_taken_effect(&self) -> bool {
        !self.is_connect() && self.source().and_then(first_recognized).is_none_or(Transient::may_have_taken_effect)
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}
