use std::{error::Error as _, fmt::Display, time::Duration};

use hyper::Error;

use super::chain::{first_recognized, is_rejection};
use crate::Transient;

/// Transient: a connection that was closed before the end of a message, or before it took the request; a timeout; and a transient error
/// among the sources, such as an `io::Error` or an `h2::Error`.
///
/// Malformed messages and misuse of the client are permanent.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        self.is_incomplete_message()
            || self.is_canceled()
            || self.is_closed()
            || self.is_timeout()
            || is_dispatch_gone(self)
            || self.source().and_then(first_recognized).is_some_and(Transient::is_transient)
    }

    /// Returns the `retry_after` of the first recognized error among the sources, such as an error of the request's own body.
    fn retry_after(&self) -> Option<Duration> {
        first_recognized(self.source()?)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    /// Returns false if the connection did not take the request, or if the server did not process it.
    fn may_have_taken_effect(&self) -> bool {
        match self.source() {
            // An upgrade that is cancelled follows a response.
            Some(upgrade) if self.is_canceled() && upgrade.to_string().starts_with("upgrade expected") => true,
            _ if self.is_canceled() || self.is_closed() => false,
            // The request body of the caller failed; the server may already have processed the request.
            _ if self.is_user() => true,
            source => source.and_then(first_recognized).is_none_or(Transient::may_have_taken_effect),
        }
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

/// Returns true if the task of the connection ended before the response, because its runtime shut down or because it panicked.
///
/// hyper has no method for this kind, so its text is compared. A test with a real connection notices another text.
fn is_dispatch_gone(error: &Error) -> bool {
    error.is_user() && error.to_string() == "dispatch task is gone"
}
