use std::{fmt::Display, time::Duration};

use h2::{Error, Reason};

use crate::Transient;

/// Transient: a transient `io::Error` of the connection; and a stream that the server refused or reset, or a connection that it closed
/// with `GOAWAY`, for a reason that may not apply to the next request.
///
/// | reason ([RFC 9113, section 7](https://www.rfc-editor.org/rfc/rfc9113#section-7)) | decision |
/// | --- | --- |
/// | `REFUSED_STREAM`; `GOAWAY` with `NO_ERROR` | transient: the server did not process the request (section 8.7) |
/// | `ENHANCE_YOUR_CALM` | transient: the server is overloaded |
/// | `INTERNAL_ERROR` | transient, like the status 500 |
/// | `NO_ERROR` or `CANCEL` of a stream | transient: the server gave up before the end of the response |
/// | `CONNECT_ERROR`, `SETTINGS_TIMEOUT` | transient: a connection was lost or slow |
/// | `HTTP_1_1_REQUIRED`, `INADEQUATE_SECURITY` | permanent: the client must be configured differently |
/// | all others | permanent: one side violates the protocol |
///
/// A violation of the protocol that the client detects, and a stream that the client itself resets, are permanent. A `GOAWAY` fails only
/// the requests that the server did not process; for the others, the client waits until the connection ends.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        if let Some(error) = self.get_io() {
            return error.is_transient();
        }
        let is_local = !self.is_remote() && (self.is_reset() || self.is_go_away());
        !is_local && self.reason().is_some_and(may_pass)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.get_io()?.retry_after()
    }

    /// Returns false for a refused stream, and for a request that the server did not process before it sent `GOAWAY`.
    fn may_have_taken_effect(&self) -> bool {
        match self.get_io() {
            Some(error) => error.may_have_taken_effect(),
            None => !(self.is_remote() && (self.is_go_away() || self.reason() == Some(Reason::REFUSED_STREAM))),
        }
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

/// Returns true if another request may succeed although this one failed for `reason`.
fn may_pass(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NO_ERROR
            | Reason::INTERNAL_ERROR
            | Reason::SETTINGS_TIMEOUT
            | Reason::REFUSED_STREAM
            | Reason::CANCEL
            | Reason::CONNECT_ERROR
            | Reason::ENHANCE_YOUR_CALM
    )
}
