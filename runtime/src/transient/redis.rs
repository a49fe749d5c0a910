use std::error::Error as _;

use redis::{ErrorKind, RedisError, RetryMethod};

use super::chain::decisive;
use crate::Transient;

/// Transient: connections that were refused or dropped, timeouts, and the errors that the redis crate itself classifies as worth a wait
/// ([`RetryMethod`]): `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `READONLY`, a sentinel without a known master or replica, a
/// cluster without a reachable node. Also `BUSY`, which a server returns until a running script ends.
///
/// A master that has become a replica returns `READONLY`; after a misconfiguration, the error remains and all attempts are used.
/// `MOVED` and `ASK` are permanent: a cluster client follows these redirections, and any other client would call the same node again.
/// For a pipeline, the first error counts. If a client without `async` fails to connect over native-tls, the redis crate does not
/// distinguish a rejected certificate from a dropped connection, so both are transient.
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
