use std::error::Error as _;

use redis::{ErrorKind, RedisError, RetryMethod};

use super::{Transient, decisive};

/// Transient: connections that were refused or dropped, time-outs, and the answers that the redis crate itself calls worth a
/// wait ([`RetryMethod`]): `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `READONLY`, a sentinel that knows no master
/// or replica, a cluster of which no node is reachable. Also `BUSY`: a script runs, and will end.
///
/// `READONLY` is what a master answers that became a replica. Where it is a mistake in the configuration, it costs the
/// attempts. `MOVED` and `ASK` are permanent: a cluster client follows them by itself, and any other asks the same node
/// again. The first error of a pipeline speaks for all of it. Of a connection that a client without `async` fails to make
/// over native-tls, the crate does not tell a refused certificate from a dropped connection: both are transient.
#[diagnostic::do_not_recommend]
impl Transient for RedisError {
    fn is_transient(&self) -> bool {
        if self.kind() == ErrorKind::Io {
            return self.is_connection_dropped()
                || self.source().and_then(decisive).is_some_and(Transient::is_transient);
        }
        match self.retry_method() {
            RetryMethod::WaitAndRetry
            | RetryMethod::ReconnectFromInitialConnections
            | RetryMethod::RefreshSlotsAndRetry => true,
            _ => self.code() == Some("BUSY"),
        }
    }
}
