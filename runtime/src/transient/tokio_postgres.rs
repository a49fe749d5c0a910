use std::{error::Error as _, fmt::Display, io, time::Duration};

use tokio_postgres::Error;

use super::{
    chain::{first_recognized, is_rejection},
    sqlstate,
};
use crate::Transient;

/// Transient: a transient [`io::Error`] of the connection, a connection that is closed, a missing socket file,
/// servers that the option `target_session_attrs` rejects, as during a failover, and database errors with one of these SQLSTATE codes. The last column gives the value of
/// [`may_have_taken_effect`](Transient::may_have_taken_effect).
///
/// | code | meaning | effect |
/// | --- | --- | --- |
/// | `08001`, `08004` | connection rejected | none |
/// | other `08...` | connection lost | possible |
/// | `25006` | read-only transaction, after a failover | none |
/// | `25P03`, `57P05` | idle for too long, in a transaction or outside | none |
/// | `40000`, `40001`, `40P01` | transaction rolled back: serialization failure, deadlock | none |
/// | `40003` | completion of the statement unknown | possible |
/// | `53000`, `53100`, `53200`, `53300` | out of resources: disk, memory, connections | none |
/// | `55P03` | lock not available in time | none |
/// | `57P01`, `57P02` | connection terminated by a shutdown, an operator or a crash | possible |
/// | `57P03` | starting, or shutting down | none |
///
/// A failure to connect has no effect either, whatever the reason. A statement that exceeds its time limit (`57014`) is permanent: it would
/// probably exceed it again, and adds to the load of a database that is already slow.
///
/// A client whose connection is closed returns this error for each further statement, so the retried function must contain the
/// connection, or take it from a pool that replaces it. After a failure inside a transaction, it must contain all of the transaction.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        match self.code() {
            Some(code) => sqlstate::is_transient(code.code()),
            None => self.is_closed() || is_timeout(self) || recognized(self).is_some_and(Transient::is_transient),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        recognized(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    fn may_have_taken_effect(&self) -> bool {
        match self.code() {
            Some(code) => !sqlstate::is_rolled_back(code.code()),
            None => !is_connect(self) && recognized(self).is_none_or(Transient::may_have_taken_effect),
        }
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

/// Returns the first error of a recognized type among the sources of a failure of the connection. The sources of other errors, such as a
/// message that cannot be parsed, do not count.
fn recognized(error: &Error) -> Option<&dyn Transient> {
    const NOT_OF_THE_CONNECTION: [&str; 4] =
        ["error parsing", "error encoding", "error serializing", "error deserializing"];

    let text = error.to_string();
    if NOT_OF_THE_CONNECTION.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let source = error.source()?;
    match source.downcast_ref() {
        Some(source) if is_connect(error) && is_unavailable(source) => Some(&Unavailable),
        _ => first_recognized(source),
    }
}

/// Returns true for a failure to connect, which the public interface of the crate does not distinguish.
fn is_connect(error: &Error) -> bool {
    error.to_string() == "error connecting to server"
}

fn is_timeout(error: &Error) -> bool {
    error.to_string() == "timeout waiting for server"
}

/// Returns true if a failure to connect is transient although its kind is not.
///
/// The socket file of a server that is not running is missing. If `target_session_attrs` rejects all servers, as during a failover, the error
/// does not come from the operating system, and has the kind `PermissionDenied`.
fn is_unavailable(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound => true,
        io::ErrorKind::PermissionDenied => error.raw_os_error().is_none(),
        _ => false,
    }
}

/// The classification of a failure that [`is_unavailable`] recognizes.
struct Unavailable;

impl Transient for Unavailable {
    fn is_transient(&self) -> bool {
        true
    }
}
