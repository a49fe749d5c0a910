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
/// | [`std::io::Error`] | | the kinds `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe`, `TimedOut`, `Interrupted`, `WouldBlock`, `UnexpectedEof`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown`, `ResourceBusy`; if it wraps an error, and the chain of that error contains a recognized type, that one decides instead of the kind | all other kinds | from the wrapped error |
/// | `tokio::time::error::Elapsed` | `tokio` | always | | |
/// | [`TimedOut`], [`BulkheadFull`] | | always | | |
/// | [`RateLimited`] | | always | | the time until a call can be admitted |
/// | [`CircuitOpen`] | | | always | from the breaker |
/// | `Box<dyn Error>`, also with `Send` and `Sync` | | if the first error of a recognized type in its chain of sources is transient | all others, also a chain without a recognized type | from that error |
/// | `anyhow::Error` | `anyhow`; not needed for the attributes | as `Box<dyn Error>` | as `Box<dyn Error>` | as `Box<dyn Error>` |
/// | `http::StatusCode` | `http` | 408, 425, 429, 500, 502, 503, 504 | all others | none, since a status has no headers; use `steadfast::retry_after(&headers)` |
/// | `reqwest::Error` | `reqwest` | timeout; failed DNS lookup; a transient `io::Error` while connecting or in a body; connection closed before the end of the response; `error_for_status` with a transient status | invalid URL or request, redirect error, malformed response, invalid certificate, a proxy that refuses the connection | none, since the error has no headers; the documentation of the implementation shows an error type that has them |
/// | `tonic::Status` | `tonic` | `Unavailable`, `ResourceExhausted`, `DeadlineExceeded`; `Unknown` and `Cancelled` if caused by a transient `io::Error` or tonic's own timeout | all other codes, also `Aborted`; a [`CircuitOpen`] among its sources; a `grpc-retry-pushback-ms` that is negative or not a number | `grpc-retry-pushback-ms`; without it, from its source |
/// | `sqlx::Error` | `sqlx` | a transient `io::Error`; timeout of the pool; SQLSTATE `08...`, `40001`, `40P01`, `53...`, `55P03`, `57P01`, `57P02`, `57P03`, `57P05`; busy or locked in SQLite | all others, also TLS failures, and a lock wait timeout in MySQL (its SQLSTATE `HY000` is unspecific) | |
/// | `redis::RedisError` | `redis` | connection refused or dropped, timeout, another transient `io::Error`; `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `READONLY`, `BUSY`; a sentinel without a known node, a cluster without a reachable one | all others, also failed authentication, `WRONGTYPE`, `OOM`, `MOVED`, `ASK` | |
///
/// The error types of this table are recognized in a chain of sources, and so is each type that derives `Transient`, has no generic
/// parameters and implements [`Error`](std::error::Error). A type that implements `Transient` by hand is not recognized there.
///
/// [`TimedOut`]: crate::TimedOut
/// [`BulkheadFull`]: crate::BulkheadFull
/// [`RateLimited`]: crate::RateLimited
/// [`CircuitOpen`]: crate::CircuitOpen
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Transient`, which marks the values that are worth another attempt",
    label = "this error type is not `Transient`",
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
