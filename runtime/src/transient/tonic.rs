use std::{error::Error, fmt::Display, sync::Arc, time::Duration};

use tonic::{
    Code, Status, TimeoutExpired,
    metadata::{Ascii, MetadataValue},
};

use super::{
    chain::{first_recognized, is_rejection, sources},
    retry_info::retry_delay,
};
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient};

/// The key of the metadata with the time after which a client should retry, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Transient: `Unavailable` and `DeadlineExceeded`; `ResourceExhausted` if the server says when to retry; and the statuses that tonic itself
/// creates for a broken connection, a failed stream of HTTP/2 or its own timeouts (`Unknown`, `Internal`, `Cancelled`, `ResourceExhausted`;
/// the code depends on the features of tonic).
///
/// A server that is overloaded for a moment, and a quota that is used up for the day, are both `ResourceExhausted`. The server
/// distinguishes them by a hint, in one of two forms: `grpc-retry-pushback-ms`
/// ([gRPC proposal A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md)), in milliseconds, or `google.rpc.RetryInfo` in
/// the details of the status ([AIP-194](https://google.aip.dev/194)). The first takes precedence; a value that is negative or not a number
/// makes the error permanent.
///
/// `Aborted` is permanent: by the [gRPC status codes](https://grpc.io/docs/guides/status-codes/), a client should repeat the whole sequence
/// of calls, such as a transaction, and not only the call that failed. To retry a function that contains such a sequence, use
/// `retry_if = |status| status.code() == Code::Aborted`.
#[diagnostic::do_not_recommend]
impl Transient for Status {
    fn is_transient(&self) -> bool {
        if pushback(self).is_some_and(|value| delay(value).is_none())
            || sources(self).any(<dyn Error>::is::<CircuitOpen>)
        {
            return false;
        }
        match self.code() {
            Code::Unavailable | Code::DeadlineExceeded => true,
            Code::ResourceExhausted => self.retry_after().is_some() || was_interrupted(self),
            Code::Unknown | Code::Cancelled | Code::Internal => was_interrupted(self),
            _ => false,
        }
    }

    /// Returns the server's `grpc-retry-pushback-ms`, or the `retry_delay` of its `RetryInfo`; without them, the `retry_after` of the first
    /// recognized error among the sources, such as a rejection.
    fn retry_after(&self) -> Option<Duration> {
        match pushback(self) {
            Some(value) => delay(value),
            None => retry_delay(self.details()).or_else(|| first_recognized(self.source()?)?.retry_after()),
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

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
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

/// Creates a status of code `ResourceExhausted` whose source is the `RateLimited`. Its `grpc-retry-pushback-ms` is the time until the limit
/// admits a call, so that a client that receives the status can retry. A call that takes more permits than the limit can ever admit has the
/// code `FailedPrecondition`.
impl From<RateLimited> for Status {
    fn from(limited: RateLimited) -> Self {
        if limited.exceeds_limit() {
            return with_source(Self::failed_precondition(limited.to_string()), limited);
        }
        let mut status = Self::resource_exhausted(limited.to_string());
        // Rounded up: a call at the end of the wait is admitted.
        let millis = limited.retry_after.as_nanos().div_ceil(1_000_000);
        status.metadata_mut().insert(PUSHBACK, u64::try_from(millis).unwrap_or(u64::MAX).into());
        with_source(status, limited)
    }
}

/// Creates a status of code `ResourceExhausted` whose source is the `BulkheadFull`. It has no `grpc-retry-pushback-ms`, since the time until
/// a permit is released is unknown, so a client that receives the status does not retry. A call that takes more permits than there are has
/// the code `FailedPrecondition`.
impl From<BulkheadFull> for Status {
    fn from(full: BulkheadFull) -> Self {
        let code = if full.exceeds_limit() { Code::FailedPrecondition } else { Code::ResourceExhausted };
        with_source(Self::new(code, full.to_string()), full)
    }
}

/// Sets an error of this crate as the source of `status`.
fn with_source(mut status: Status, source: impl Error + Send + Sync + 'static) -> Status {
    status.set_source(Arc::new(source));
    status
}

/// Returns the server's `grpc-retry-pushback-ms`.
fn pushback(status: &Status) -> Option<&MetadataValue<Ascii>> {
    status.metadata().get(PUSHBACK)
}

/// Returns the time to wait that the server requests; `None` if it requests that the call is not retried.
fn delay(pushback: &MetadataValue<Ascii>) -> Option<Duration> {
    pushback.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// Returns true if the source of the status is a transient error (such as a broken connection) or a timeout of tonic.
fn was_interrupted(status: &Status) -> bool {
    status.source().is_some_and(|error| {
        sources(error).any(<dyn Error>::is::<TimeoutExpired>)
            || first_recognized(error).is_some_and(Transient::is_transient)
    })
}
