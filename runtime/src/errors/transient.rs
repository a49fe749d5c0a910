use std::{error::Error, fmt::Display, time::Duration};

/// An error type that distinguishes transient errors from permanent ones.
///
/// `#[retry]` repeats a call if its error is transient, and returns a permanent error at once. Derive the trait, or implement it:
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::Transient;
///
/// #[derive(Debug, Transient)]
/// enum SearchError {
///     #[transient]
///     Timeout,
///     #[transient(retry_after = after)] // a `Duration` or an `Option<Duration>`
///     RateLimited { after: Duration },
///     #[transient(inherit)] // transient if the inner error is
///     Connection(io::Error),
///     NotFound, // no attribute: permanent
/// }
///
/// assert!(SearchError::Timeout.is_transient());
/// assert!(!SearchError::NotFound.is_transient());
/// assert!(SearchError::Connection(io::ErrorKind::ConnectionRefused.into()).is_transient());
/// assert_eq!(
///     SearchError::RateLimited { after: Duration::from_secs(7) }.retry_after(),
///     Some(Duration::from_secs(7)),
/// );
/// ```
///
/// This crate implements the trait for types of other crates; those of client libraries need a feature:
///
/// | type | feature | transient | permanent | `retry_after` |
/// | --- | --- | --- | --- | --- |
/// | [`std::io::Error`] | | the kinds `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe`, `TimedOut`, `Interrupted`, `WouldBlock`, `UnexpectedEof`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown`, `ResourceBusy`, `AddrNotAvailable`, `ExecutableFileBusy`, `StaleNetworkFileHandle`; the codes `EMFILE`, `ENFILE`, `ENOBUFS`, `EHOSTDOWN`, `ENETRESET`; a name that could not be resolved; if it wraps an error, and the chain of that error contains a recognized type, that one decides instead of the kind | all others | from the wrapped error |
/// | `tokio::time::error::Elapsed` | `tokio` | always | | |
/// | [`TimedOut`] | | always | | |
/// | [`BulkheadFull`] | | unless the call takes more permits than there are | otherwise | |
/// | [`RateLimited`] | | unless the call takes more permits than the limit | otherwise | the time until a call can be admitted |
/// | [`CircuitOpen`] | | | always | from the breaker |
/// | `Box<dyn Error>`, also with `Send` and `Sync` | | if the first error of a recognized type in its chain of sources is transient | all others, also a chain without a recognized type | from that error |
/// | `anyhow::Error` | `anyhow`; not needed for the attributes | as `Box<dyn Error>` | as `Box<dyn Error>` | as `Box<dyn Error>` |
/// | `Box`, `Arc`, `Rc`, `&` | | as the value that they point to | as the value | from the value |
/// | `http::StatusCode` | `http` | 408, 425, 429, 500, 502, 503, 504, 520 to 524, 529 | all others | none, since a status has no headers; use `steadfast::retry_after(&headers)` |
/// | `h2::Error` | `h2` | a transient `io::Error`; a stream refused or reset, or a connection closed with `GOAWAY`, by the server for a reason that may pass: `NO_ERROR`, `INTERNAL_ERROR`, `REFUSED_STREAM`, `CANCEL`, `ENHANCE_YOUR_CALM`, `CONNECT_ERROR`, `SETTINGS_TIMEOUT` | all other reasons; violations of the protocol | |
/// | `hyper::Error` | `hyper` | connection closed before the end of a message, or before it took the request; timeout; a transient `io::Error` or `h2::Error` | malformed message, misuse of the client | from its source |
/// | `hyper_util::client::legacy::Error` | `hyper-util` | a transient error among its sources | all others | from its source |
/// | `reqwest::Error` | `reqwest` | timeout; failed DNS lookup; a transient `io::Error`, `hyper::Error` or `h2::Error` while connecting or in a body; `error_for_status` with a transient status | invalid URL or request, redirect error, malformed response, invalid certificate, a proxy that refuses the connection | none, since the error has no headers; the documentation of the implementation shows an error type that has them |
/// | `tonic::Status` | `tonic` | `Unavailable`, `DeadlineExceeded`; `ResourceExhausted` with a hint of the server; `Unknown`, `Internal`, `Cancelled` and `ResourceExhausted` if caused by a transient `io::Error`, `hyper::Error` or `h2::Error`, or by tonic's own timeout | all other codes, also `Aborted`; a [`CircuitOpen`] among its sources; a `grpc-retry-pushback-ms` that is negative or not a number | `grpc-retry-pushback-ms`; without it, `google.rpc.RetryInfo` in the details; without both, from its source |
/// | `sqlx::Error` | `sqlx` | a transient `io::Error`; timeout of the pool; a transient SQLSTATE (connection lost, shutdown, failover, too many connections, deadlock, serialization failure, lock timeout); the same failures by the error numbers of MySQL; busy or locked in SQLite | all others, also a statement timeout | from the `io::Error` |
/// | `tokio_postgres::Error`, which is also the error of the crate `postgres` | `tokio-postgres` | a transient `io::Error`; connection closed; a transient SQLSTATE, as for `sqlx` | all others, also a statement timeout | from the `io::Error` |
/// | `redis::RedisError` | `redis` | connection refused or dropped, timeout, another transient `io::Error`; `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `NOREPLICAS`, `READONLY`, `UNBLOCKED`, `BUSY`, too many clients; a sentinel without a known node, a cluster without a reachable one | all others, also failed authentication, `WRONGTYPE`, `OOM`, `MOVED`, `ASK` | from the `io::Error` |
///
/// [`may_have_taken_effect`](Self::may_have_taken_effect) returns false for a refused connection, a failed DNS lookup and a rejection, and for
/// what a database rolled back. The page `docs/errors-and-transient.md` lists the failures of each client, with the reason for each decision.
///
/// The error types of this table are recognized in a chain of sources, and so is each type that derives `Transient`, has no generic
/// parameters and implements [`Error`]. A type that implements `Transient` by hand is not recognized there.
///
/// [`TimedOut`]: crate::TimedOut
/// [`BulkheadFull`]: crate::BulkheadFull
/// [`RateLimited`]: crate::RateLimited
/// [`CircuitOpen`]: crate::CircuitOpen
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Transient`, which marks the values that are worth another attempt",
    label = "this error type is not `Transient`",
    note = "for errors of reqwest 0.13, sqlx 0.9, redis 1, tonic 0.14, tokio-postgres 0.7, http 1, anyhow 1 and others, enable steadfast's feature of that name; it concerns this version of the library",
    note = "on a type of your own: `#[derive(steadfast::Transient)]`, and `#[transient]` on the variants to retry",
    note = "or decide it where the call is retried: `retry_if(SomeError, OtherError)`, `retry_if = |error| ...` or `retry_if = any`; with a policy, `.retry_if(|error| ...)`"
)]
pub trait Transient {
    /// Returns true if another attempt may succeed.
    fn is_transient(&self) -> bool;

    /// Returns the minimum time to wait before the next attempt; `None` if the error does not specify one.
    ///
    /// It takes the place of the delay of the backoff; unless the policy has no jitter, a random part is added. Zero has no effect. A time
    /// longer than `max_retry_after` ends the retry.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Returns true if the call was not made, because a circuit breaker, a rate limit or a bulkhead of this crate rejected it.
    ///
    /// If the error is permanent, the retry counts as rejected rather than failed, and emits
    /// [`RetryRejected`](crate::events::Event::RetryRejected). A transient rejection is retried like any transient error.
    ///
    /// A derived implementation returns the value of the inner error: the only field, or the one marked `#[from]` or `#[source]`.
    fn is_rejection(&self) -> bool {
        false
    }

    /// Returns false if the request certainly had no effect, so that even a call that is not idempotent can be repeated.
    ///
    /// This is certain if the request did not reach the server (a refused connection, a failed DNS lookup, a rejection by a circuit
    /// breaker), and if the server reports that it did not process the request or rolled it back (a refused HTTP/2 stream, a serialization
    /// failure). In all other cases the value is true: the server may have processed a request whose response was lost. By default, only a
    /// [rejection](Self::is_rejection) has no effect.
    ///
    /// The value describes the request that failed. If a function makes several requests, those before it may have had an effect.
    ///
    /// A derived implementation returns the value of the inner error (the only field, or the one marked `#[from]` or `#[source]`), unless
    /// `#[transient(no_effect)]` or `#[transient(maybe_effect)]` specifies it. [`had_no_effect`](crate::had_no_effect) is a predicate for
    /// `retry_if`.
    ///
    /// ```
    /// use std::io;
    /// use steadfast::Transient;
    ///
    /// assert!(!io::Error::from(io::ErrorKind::ConnectionRefused).may_have_taken_effect());
    /// assert!(io::Error::from(io::ErrorKind::ConnectionReset).may_have_taken_effect());
    /// ```
    fn may_have_taken_effect(&self) -> bool {
        !self.is_rejection()
    }

    /// Returns the error for the events of a [`RetryPolicy`](crate::RetryPolicy), which contain its text; `None` by default.
    ///
    /// A derived implementation returns the error if the type implements [`Display`]. `#[retry]` does not call this method, since it finds
    /// the implementation of `Display` by itself.
    fn as_dyn_display(&self) -> Option<&dyn Display> {
        None
    }

    /// Returns the error for the [`Backoff`](crate::Backoff) of a [`RetryPolicy`](crate::RetryPolicy), which can downcast it; `None` by
    /// default.
    ///
    /// A derived implementation returns the error if the type implements [`Error`] and has no generic parameters. `#[retry]` does not call
    /// this method, since it finds the implementation of [`Error`] by itself.
    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        None
    }
}
