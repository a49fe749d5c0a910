use std::{error::Error, io, time::Duration};

use crate::CircuitOpen;

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
/// | [`std::io::Error`] | of kind `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe`, `TimedOut`, `Interrupted`, `WouldBlock`, `UnexpectedEof`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown`, `ResourceBusy`, unless it carries a `CircuitOpen` |
/// | `tokio::time::error::Elapsed` | always |
/// | [`CircuitOpen`] | never |
/// | `Box<dyn Error>`, also with `Send` and `Sync` | if one of the above in its chain of sources is |
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

        if matches!(self.get_ref(), Some(inner) if inner.is::<CircuitOpen>()) {
            return false;
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
        chain_is_transient(self)
    }
}

impl Transient for dyn Error + Send {
    fn is_transient(&self) -> bool {
        chain_is_transient(self)
    }
}

impl Transient for dyn Error {
    fn is_transient(&self) -> bool {
        chain_is_transient(self)
    }
}

/// Whether the first error in the chain that has something to say calls itself transient.
fn chain_is_transient(error: &(dyn Error + 'static)) -> bool {
    sources(error).find_map(known).unwrap_or(false)
}

fn known(error: &(dyn Error + 'static)) -> Option<bool> {
    #[cfg(feature = "tokio")]
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(true);
    }
    if error.is::<CircuitOpen>() {
        return Some(false);
    }
    error.downcast_ref::<io::Error>().map(Transient::is_transient)
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
