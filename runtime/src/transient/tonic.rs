use std::{error::Error, sync::Arc, time::Duration};

use tonic::{
    Code, Status, TimeoutExpired,
    metadata::{Ascii, MetadataValue},
};

use super::{Transient, decisive, is_rejection, sources};
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut};

/// Transient: `Unavailable`, `ResourceExhausted`, `DeadlineExceeded`; and what tonic itself makes of a broken connection
/// (`Unknown`) and of its own time-outs (`Cancelled`).
///
/// `Aborted` is permanent: [gRPC](https://grpc.io/docs/guides/status-codes/) leaves it to the caller to repeat the whole
/// sequence of calls, such as a transaction, and not the last one of them. A function that is such a sequence is retried
/// with `retry_if = |status| status.code() == Code::Aborted`.
///
/// A server that sends `grpc-retry-pushback-ms` ([gRPC proposal A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md))
/// says how long to wait, or by a negative number, or by anything that is no number, not to try again.
#[diagnostic::do_not_recommend]
impl Transient for Status {
    fn is_transient(&self) -> bool {
        if pushback(self).is_some_and(|value| wait(value).is_none())
            || sources(self).any(<dyn Error>::is::<CircuitOpen>)
        {
            return false;
        }
        match self.code() {
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => true,
            Code::Unknown | Code::Cancelled => self.source().is_some_and(was_interrupted),
            _ => false,
        }
    }

    /// What the server asks for, or what the breaker says of a rejection.
    fn retry_after(&self) -> Option<Duration> {
        match pushback(self) {
            Some(value) => wait(value),
            None => decisive(self.source()?)?.retry_after(),
        }
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }
}

/// The rejection as a status of code `Unavailable`, with the `CircuitOpen` as its source.
impl From<CircuitOpen> for Status {
    fn from(open: CircuitOpen) -> Self {
        with_source(Self::unavailable(open.to_string()), open)
    }
}

/// As a status of code `DeadlineExceeded`, with the `TimedOut` as its source.
impl From<TimedOut> for Status {
    fn from(timed_out: TimedOut) -> Self {
        with_source(Self::deadline_exceeded(timed_out.to_string()), timed_out)
    }
}

/// As a status of code `ResourceExhausted`, with the `RateLimited` as its source.
impl From<RateLimited> for Status {
    fn from(limited: RateLimited) -> Self {
        with_source(Self::resource_exhausted(limited.to_string()), limited)
    }
}

/// As a status of code `ResourceExhausted`, with the `BulkheadFull` as its source.
impl From<BulkheadFull> for Status {
    fn from(full: BulkheadFull) -> Self {
        with_source(Self::resource_exhausted(full.to_string()), full)
    }
}

fn with_source(mut status: Status, source: impl Error + Send + Sync + 'static) -> Status {
    status.set_source(Arc::new(source));
    status
}

fn pushback(status: &Status) -> Option<&MetadataValue<Ascii>> {
    status.metadata().get("grpc-retry-pushback-ms")
}

/// The wait that the server asks for; `None` if it asks not to try again.
fn wait(pushback: &MetadataValue<Ascii>) -> Option<Duration> {
    pushback.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// Whether a status of no code of its own stands for a broken connection or a time-out on this side.
fn was_interrupted(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(<dyn Error>::is::<TimeoutExpired>) || decisive(error).is_some_and(Transient::is_transient)
}
