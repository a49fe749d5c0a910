use std::{error::Error, fmt::Display, time::Duration};

use redis::{ErrorKind, RedisError, RetryMethod, ServerError, ServerErrorKind};

use super::chain::{first_recognized, is_rejection};
use crate::Transient;

/// Transient: connections that were refused or dropped, timeouts, a sentinel without a known master or replica, a cluster without a reachable
/// node, and replies with one of these codes. None of the commands with such a reply has an effect.
///
/// | code | meaning |
/// | --- | --- |
/// | `LOADING` | the server is starting |
/// | `BUSY` | a script is running |
/// | `TRYAGAIN` | the slot of several keys is moving to another node |
/// | `CLUSTERDOWN` | the cluster has no node for the slot |
/// | `MASTERDOWN` | the replica has lost its master |
/// | `NOREPLICAS` | too few replicas are connected |
/// | `READONLY` | the server is a replica, as a former master after a failover |
/// | `UNBLOCKED` | the server became a replica while the command waited |
/// | `ERR max number of clients reached` | too many connections |
///
/// If `READONLY` is caused by a misconfiguration, the error persists and all attempts fail. `OOM` is permanent, because memory is not freed within
/// the time of a retry. `MOVED` and `ASK` are permanent: a cluster client follows these redirections, and any other client would call the
/// same node again. If a client without `async` fails to connect over native-tls, the redis crate does not distinguish a rejected certificate
/// from a dropped connection, so both are transient.
///
/// The first error of a pipeline counts. The other commands of the pipeline may have had an effect, except in a transaction that the server
/// discarded (`EXECABORT`).
#[diagnostic::do_not_recommend]
impl Transient for RedisError {
    fn is_transient(&self) -> bool {
        if self.kind() == ErrorKind::Io {
            return self.is_connection_dropped() || recognized(self).is_some_and(Transient::is_transient);
        }
        match first_server_error(self) {
            Some(error) => is_transient_reply(&error),
            None => {
                matches!(self.retry_method(), RetryMethod::WaitAndRetry | RetryMethod::ReconnectFromInitialConnections)
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        recognized(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    fn may_have_taken_effect(&self) -> bool {
        if self.is_connection_refusal() {
            return false;
        }
        match self.kind() {
            ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::NoValidReplicasFoundBySentinel => false,
            ErrorKind::Io => recognized(self).is_none_or(Transient::may_have_taken_effect),
            _ => !(is_of_one_command(self) || is_discarded_transaction(self)) || !self.is_transient(),
        }
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// Returns the first error of a recognized type among the sources.
fn recognized(error: &RedisError) -> Option<&dyn Transient> {
    first_recognized(error.source()?)
}

/// Returns the error reply of the command, or the first one of a pipeline or transaction.
fn first_server_error(error: &RedisError) -> Option<ServerError> {
    error.clone().into_server_errors()?.first().map(|(_, error)| error.clone())
}

/// Returns true for the error reply of a single command, which is a source of the error. The replies of a pipeline are not.
fn is_of_one_command(error: &RedisError) -> bool {
    error.source().is_some_and(<dyn Error>::is::<ServerError>)
}

/// Returns true if the server discarded a transaction, whose commands it had not yet executed. In a pipeline that contains a transaction of
/// its own, `EXECABORT` is one of the replies.
fn is_discarded_transaction(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ExecAbort)
        && first_server_error(error).is_some_and(|first| first.kind() != Some(ServerErrorKind::ExecAbort))
}

fn is_transient_reply(error: &ServerError) -> bool {
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "ERR" => detail == "max number of clients reached",
        // The detail contains the reply that made the server discard the transaction.
        "EXECABORT" => detail.strip_prefix("Transaction discarded because of: ").is_some_and(is_transient_text),
        code => is_transient_code(code),
    }
}

/// Returns true for the text of a transient error reply, which begins with its code.
fn is_transient_text(reply: &str) -> bool {
    reply.split(' ').next().is_some_and(is_transient_code)
}

fn is_transient_code(code: &str) -> bool {
    matches!(
        code,
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "NOREPLICAS" | "READONLY" | "UNBLOCKED"
    )
}
