use std::{error::Error as _, fmt::Display, time::Duration};

use redis::{ErrorKind, RedisError, RetryMethod};

use super::chain::{first_recognized, is_rejection};
use crate::Transient;

/// Transient: connections that were refused or dropped, timeouts, and the errors that the redis crate itself classifies as worth a retry
/// after a wait, a reconnection or a refresh of the slots ([`RetryMethod`]): `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`,
/// `READONLY`, a sentinel without a known master or replica, a cluster without a reachable node. Also `BUSY`, which a server returns until
/// a running script ends.
///
/// A former master that is now a replica returns `READONLY`; if the cause is a misconfiguration, the error persists and all attempts fail.
/// `MOVED` and `ASK` are permanent: a cluster client follows these redirections, and any other client would call the same node again.
/// The first error of a pipeline counts. If a client without `async` fails to connect over native-tls, the redis crate does not
/// distinguish a rejected certificate from a dropped connection, so both are transient.
#[diagnostic::do_not_recommend]
impl Transient for RedisError {
    fn is_transient(&self) -> bool {
        if self.kind() == ErrorKind::Io {
            return self.is_connection_dropped()
                || self.source().and_then(first_recognized).is_some_and(Transient::is_transient);
        }
        match self.retry_method() {
            RetryMethod::WaitAndRetry
            | RetryMethod::ReconnectFromInitialConnections
            | RetryMethod::RefreshSlotsAndRetry => true,
            _ => self.code() == Some("BUSY"),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        first_recognized(self.source()?)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}
