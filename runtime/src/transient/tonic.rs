use std::{error::Error, fmt::Display, sync::Arc, time::Duration};

use tonic::{
    Code, Status, TimeoutExpired,
    metadata::{Ascii, MetadataValue},
};

use super::chain::{first_recognized, is_rejection, sources};
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient};

/// Transient: `Unavailable`, `ResourceExhausted`, `DeadlineExceeded`; and the statuses that tonic itself creates for a broken connection
/// (`Unknown`) and for its own timeouts (`Cancelled`).
///
/// `Aborted` is permanent: by the [gRPC status codes](https://grpc.io/docs/guides/status-codes/), a client should repeat the whole sequence
/// of calls, such as a transaction, and not only the call that failed. To retry a function that contains such a sequence, use
/// `retry_if = |status| status.code() == Code::Aborted`.
///
/// The server's `grpc-retry-pushback-ms` ([gRPC proposal A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md)) is the
/// time to wait, in milliseconds. A value that is negative or not a number makes the error permanent.
#[diagnostic::do_not_recommend]
impl Transient for Status {
    fn is_transient(&self) -> bool {
        if pushback(self).is_some_and(|value| delay(value).is_none())
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

    /// Returns the server's `grpc-retry-pushback-ms`; without it, the `retry_after` of the first recognized error among the sources, such
    /// as a rejection.
    fn retry_after(&self) -> Option<Duration> {
        match pushback(self) {
            Some(value) => delay(value),
            None => first_recognized(self.source()?)?.retry_after(),
        }
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    fn may_have_taken_effect(&self) -> bool {
        self.source().and_then(first_recognized).is_none_or(Transient::may_have_taken_effect)
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

/// Creates a status of code `Unavailable` whose source is the `CircuitOpen`.
impl From<CircuitOpen> for Status {
    fn from(open: CircuitOpen) -> Self {
        with_source(Self::unavailable(open.to_string()), open)
    }
}

/// Creates a status of code `DeadlineExceeded` whose source is the `TimedOut`.
impl From<TimedOut> for Status {
    fn from(timed_out: TimedOut) -> Self {
        with_source(Self::deadline_exceeded(timed_out.to_string()), timed_out)
    }
}

/// Creates a status of code `ResourceExhausted` whose source is the `RateLimited`.
impl From<RateLimited> for Status {
    fn from(limited: RateLimited) -> Self {
        with_source(Self::resource_exhausted(limited.to_string()), limited)
    }
}

/// Creates a status of code `ResourceExhausted` whose source is the `BulkheadFull`.
impl From<BulkheadFull> for Status {
    fn from(full: BulkheadFull) -> Self {
        with_source(Self::resource_exhausted(full.to_string()), full)
    }
}

/// Sets an error of this crate as the source of `status`.
fn with_source(mut status: Status, source: impl Error + Send + Sync + 'static) -> Status {
    status.set_source(Arc::new(source));
    status
}

/// Returns the server's `grpc-retry-pushback-ms`.
fn pushback(status: &Status) -> Option<&MetadataValue<Ascii>> {
    status.metadata().get("grpc-retry-pushback-ms")
}

/// Returns the time to wait that the server requests; `None` if it requests that the call is not retried.
fn delay(pushback: &MetadataValue<Ascii>) -> Option<Duration> {
    pushback.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// Returns true if `error`, the source of a status, is a transient error (such as a broken connection) or a timeout of tonic.
fn was_interrupted(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(<dyn Error>::is::<TimeoutExpired>)
        || first_recognized(error).is_some_and(Transient::is_transient)
}
