#[cfg(feature = "anyhow")]
mod anyhow;
mod derived;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(feature = "tonic")]
mod tonic;

use std::{error::Error, io, sync::Arc, time::Duration};

pub use self::derived::Find;
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut};

/// Which values of an error type are worth another attempt.
///
/// `#[retry]` asks it, so that nothing is retried by guesswork. Derive it:
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
///     #[transient(inherit)] // as transient as the error inside
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
/// or implement it by hand.
///
/// These types have it, some behind a feature of this crate:
///
/// | type | feature | transient | not worth another attempt | `retry_after` |
/// | --- | --- | --- | --- | --- |
/// | [`std::io::Error`] | | of kind `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe`, `TimedOut`, `Interrupted`, `WouldBlock`, `UnexpectedEof`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown`, `ResourceBusy` | all other kinds; where the error that it was made of says something, that counts | from the error that it was made of |
/// | `tokio::time::error::Elapsed` | `tokio` | always | | |
/// | [`TimedOut`], [`BulkheadFull`] | | always | | |
/// | [`RateLimited`] | | always | | when there will be a place |
/// | [`CircuitOpen`] | | | always | from the breaker |
/// | `Box<dyn Error>`, also with `Send` and `Sync` | | what the first error in its chain of sources says that is of a type in this table, or of one that derives `Transient` and has no generic parameters | a chain without such an error | from that error |
/// | `anyhow::Error` | `anyhow`; the attributes do without | as `Box<dyn Error>` | as `Box<dyn Error>` | as `Box<dyn Error>` |
/// | `http::StatusCode` | `http` | 408, 425, 429, 500, 502, 503, 504 | all others | a status has no headers: `steadfast::retry_after(&headers)` |
/// | `reqwest::Error` | `reqwest` | time-out; failed look-up of a name; connection or body that fails by a transient `io::Error`; connection closed before the end of the answer; `error_for_status` with a transient status | a wrong URL or request, redirects, rubbish in the answer, a refused certificate, a proxy that does not let it through | the error has no headers: its impl shows how an error type of your own has them |
/// | `tonic::Status` | `tonic` | `Unavailable`, `ResourceExhausted`, `DeadlineExceeded`; `Unknown` and `Cancelled` that come of a transient `io::Error` or of tonic's own time-out | all other codes, also `Aborted`; a [`CircuitOpen`] in its sources; `grpc-retry-pushback-ms` that is negative or no number | `grpc-retry-pushback-ms` |
/// | `sqlx::Error` | `sqlx` | a transient `io::Error`; time-out of the pool; SQLSTATE `08...`, `40001`, `40P01`, `53...`, `55P03`, `57P01`, `57P02`, `57P03`, `57P05`; busy or locked in SQLite | all others, also failures of TLS, and a lock wait timeout in MySQL (its SQLSTATE `HY000` says nothing) | |
/// | `redis::RedisError` | `redis` | connection refused or dropped, time-out, another transient `io::Error`; `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `READONLY`, `BUSY`; sentinel or cluster without a node | all others, also failed authentication, `WRONGTYPE`, `OOM`, `MOVED`, `ASK` | |
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Transient`, which marks the values that are worth another attempt",
    label = "this error type is not `Transient`",
    note = "on a type of your own: `#[derive(steadfast::Transient)]`, and `#[transient]` on the variants to retry",
    note = "or decide it where the call is retried: `retry_if(SomeError, OtherError)`, `retry_if = |error| ...` or `retry_if = any`; with a policy, `.retry_if(|error| ...)`"
)]
pub trait Transient {
    /// Whether another attempt may succeed.
    fn is_transient(&self) -> bool;

    /// How long to wait before it, where the error knows. It replaces the computed delay.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Whether there was no call: a breaker, a rate limit or a bulkhead of this crate has rejected it. Where that ends a retry, it is
    /// counted and told as such. What is derived passes on what the error inside says.
    fn is_rejection(&self) -> bool {
        false
    }
}

#[diagnostic::do_not_recommend]
impl Transient for io::Error {
    fn is_transient(&self) -> bool {
        use io::ErrorKind as Kind;

        if let Some(inner) = carried(self) {
            return inner.is_transient();
        }
        matches!(
            self.kind(),
            Kind::ConnectionRefused
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::NotConnected
                | Kind::BrokenPipe
                | Kind::TimedOut
                | Kind::Interrupted
                | Kind::WouldBlock
                | Kind::UnexpectedEof
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NetworkDown
                | Kind::ResourceBusy
        )
    }

    fn retry_after(&self) -> Option<Duration> {
        carried(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        carried(self).is_some_and(Transient::is_rejection)
    }
}

/// What an [`io::Error`] that was made of another error knows of itself.
fn carried(error: &io::Error) -> Option<&dyn Transient> {
    decisive(error.get_ref()?)
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl Transient for tokio::time::error::Elapsed {
    fn is_transient(&self) -> bool {
        true
    }
}

/// Never worth another attempt: an open circuit is not hammered. Its `retry_after` is the breaker's.
#[diagnostic::do_not_recommend]
impl Transient for CircuitOpen {
    fn is_transient(&self) -> bool {
        false
    }

    fn retry_after(&self) -> Option<Duration> {
        Self::retry_after(self)
    }

    fn is_rejection(&self) -> bool {
        true
    }
}

#[diagnostic::do_not_recommend]
impl<T: Transient + ?Sized> Transient for Box<T> {
    fn is_transient(&self) -> bool {
        (**self).is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        (**self).retry_after()
    }

    fn is_rejection(&self) -> bool {
        (**self).is_rejection()
    }
}

#[diagnostic::do_not_recommend]
impl Transient for dyn Error + Send + Sync {
    fn is_transient(&self) -> bool {
        decisive(self).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        decisive(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        is_rejection(self)
    }
}

#[diagnostic::do_not_recommend]
impl Transient for dyn Error + Send {
    fn is_transient(&self) -> bool {
        decisive(self).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        decisive(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        is_rejection(self)
    }
}

#[diagnostic::do_not_recommend]
impl Transient for dyn Error {
    fn is_transient(&self) -> bool {
        decisive(self).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        decisive(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        is_rejection(self)
    }
}

/// The first error in the chain that says whether it is transient.
pub(crate) fn decisive<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    sources(error).find_map(|error| built_in(error).or_else(|| derived::find(error)))
}

/// Whether there was no call, by the first error in the chain that says so.
pub(crate) fn is_rejection(error: &(dyn Error + 'static)) -> bool {
    decisive(error).is_some_and(Transient::is_rejection)
}

/// The error as one of the types for which this crate implements `Transient`.
fn built_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    fn is<'a, E: Error + Transient + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        error.downcast_ref::<E>().map(|error| error as _)
    }

    let types = [
        is::<io::Error>,
        is::<CircuitOpen>,
        is::<BulkheadFull>,
        is::<RateLimited>,
        is::<TimedOut>,
        #[cfg(feature = "tokio")]
        is::<tokio::time::error::Elapsed>,
        #[cfg(feature = "redis")]
        is::<::redis::RedisError>,
        #[cfg(feature = "reqwest")]
        is::<::reqwest::Error>,
        #[cfg(feature = "sqlx")]
        is::<::sqlx::Error>,
        #[cfg(feature = "tonic")]
        is::<::tonic::Status>,
    ];
    types.into_iter().find_map(|is| is(error))
}

/// The error and everything in its `source()` chain.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| inside(error).or_else(|| error.source()))
}

/// The error that another one is made of and leaves out of its `source()`: an [`io::Error`] the one that it carries, an
/// `Arc` the one that it shares.
fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    error.downcast_ref::<io::Error>()?.get_ref().map(|carried| carried as _)
}
