use std::{error::Error, io, time::Duration};

use crate::{CircuitOpen, known};

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
/// | type | transient |
/// | --- | --- |
/// | [`std::io::Error`] | of kind `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe`, `TimedOut`, `Interrupted`, `WouldBlock`, `UnexpectedEof`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown`, `ResourceBusy`; or what the error that it was made of says, if that says something |
/// | `tokio::time::error::Elapsed` | always |
/// | [`CircuitOpen`] | never |
/// | `Box<dyn Error>`, also with `Send` and `Sync`, and `anyhow::Error` | what the first error in its chain of sources says that is of a type in this table, or of one that derives `Transient` and has no generic parameters; else never |
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which of its values are worth another attempt",
    label = "this error type is not `Transient`",
    note = "on a type of your own: `#[derive(steadfast::Transient)]`, and `#[transient]` on the variants to retry",
    note = "for this function only: `retry_if(SomeError, OtherError)`, `retry_if = |error| ...`, or `retry_if = any`"
)]
pub trait Transient {
    /// Whether another attempt may succeed.
    fn is_transient(&self) -> bool;

    /// How long to wait before it, where the error knows. It replaces the computed delay.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

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
}

/// What an [`io::Error`] that was made of another error knows of itself.
fn carried(error: &io::Error) -> Option<&dyn Transient> {
    decisive(error.get_ref()?)
}

#[cfg(feature = "tokio")]
impl Transient for tokio::time::error::Elapsed {
    fn is_transient(&self) -> bool {
        true
    }
}

/// Never worth another attempt: an open circuit is not hammered. Its `retry_after` is the breaker's.
impl Transient for CircuitOpen {
    fn is_transient(&self) -> bool {
        false
    }

    fn retry_after(&self) -> Option<Duration> {
        Self::retry_after(self)
    }
}

impl<T: Transient + ?Sized> Transient for Box<T> {
    fn is_transient(&self) -> bool {
        (**self).is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        (**self).retry_after()
    }
}

impl Transient for dyn Error + Send + Sync {
    fn is_transient(&self) -> bool {
        decisive(self).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        decisive(self)?.retry_after()
    }
}

impl Transient for dyn Error + Send {
    fn is_transient(&self) -> bool {
        decisive(self).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        decisive(self)?.retry_after()
    }
}

impl Transient for dyn Error {
    fn is_transient(&self) -> bool {
        decisive(self).is_some_and(Transient::is_transient)
    }

    fn retry_after(&self) -> Option<Duration> {
        decisive(self)?.retry_after()
    }
}

/// The first error in the chain that says whether it is transient.
pub(crate) fn decisive<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    sources(error).find_map(|error| built_in(error).or_else(|| known::find(error)))
}

/// The error as one of the types for which this crate implements `Transient`.
fn built_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    fn is<'a, E: Error + Transient + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        error.downcast_ref::<E>().map(|error| error as _)
    }

    let types = [
        is::<io::Error>,
        is::<CircuitOpen>,
        #[cfg(feature = "tokio")]
        is::<tokio::time::error::Elapsed>,
    ];
    types.into_iter().find_map(|is| is(error))
}

/// The error and everything in its `source()` chain.
///
/// An [`io::Error`] that carries another error leaves that one out of its `source()`; here it is in.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        carried.map(|carried| carried as _).or_else(|| error.source())
    })
}
