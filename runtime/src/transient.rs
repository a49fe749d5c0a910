//! The implementations of [`Transient`] for foreign types, and the search in chains of sources.

#[cfg(feature = "anyhow")]
mod anyhow;
pub(crate) mod chain;
mod client_errors;
#[cfg(feature = "h2")]
mod h2;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper-util")]
mod hyper_util;
pub(crate) mod known;
mod os_error;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "tonic")]
mod retry_info;
#[cfg(any(feature = "sqlx", feature = "tokio-postgres"))]
mod sqlstate;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;
#[cfg(feature = "tonic")]
mod tonic;

use std::{error::Error, fmt::Display, io, rc::Rc, sync::Arc, time::Duration};

use self::chain::{first_recognized, is_rejection};
use crate::{Transient, stack::Verdict};

/// Delegates to the first error of a recognized type in the chain of the wrapped error; without one, the kind or the code of the operating
/// system decides. A name that could not be resolved is transient.
#[diagnostic::do_not_recommend]
impl Transient for io::Error {
    fn is_transient(&self) -> bool {
        use io::ErrorKind as Kind;

        if let Some(inner) = wrapped(self) {
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
                | Kind::AddrNotAvailable
                | Kind::ExecutableFileBusy
                | Kind::StaleNetworkFileHandle
        ) || os_error::is_transient(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        wrapped(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        wrapped(self).is_some_and(Transient::is_rejection)
    }

    fn may_have_taken_effect(&self) -> bool {
        match wrapped(self) {
            Some(inner) => inner.may_have_taken_effect(),
            None => !is_before_sending(self),
        }
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// Returns the first error of a recognized type in the chain of the error that an [`io::Error`] wraps.
fn wrapped(error: &io::Error) -> Option<&dyn Transient> {
    first_recognized(error.get_ref()?)
}

/// Returns true if the error can occur only before a request is sent.
///
/// A host or network that is unreachable can also end an established connection: the operating system reports it in place of a timeout if
/// an ICMP message, or a failed ARP request, gave the reason.
fn is_before_sending(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;

    matches!(error.kind(), Kind::ConnectionRefused | Kind::AddrNotAvailable | Kind::ExecutableFileBusy)
        || os_error::is_before_sending(error)
}

/// Never called, since the type has no values.
#[diagnostic::do_not_recommend]
impl Transient for std::convert::Infallible {
    fn is_transient(&self) -> bool {
        match *self {}
    }
}

/// Always transient.
#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl Transient for tokio::time::error::Elapsed {
    fn is_transient(&self) -> bool {
        true
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// Implements `Transient` for a type of pointer.
macro_rules! transient_by_deref {
    ($($pointer:ty),*) => {$(
        /// Delegates to the value that is pointed to.
        #[diagnostic::do_not_recommend]
        impl<T: Transient + ?Sized> Transient for $pointer {
            fn is_transient(&self) -> bool {
                (**self).is_transient()
            }

            fn retry_after(&self) -> Option<Duration> {
                (**self).retry_after()
            }

            fn is_rejection(&self) -> bool {
                (**self).is_rejection()
            }

            fn may_have_taken_effect(&self) -> bool {
                (**self).may_have_taken_effect()
            }

            fn as_dyn_display(&self) -> Option<&dyn Display> {
                (**self).as_dyn_display()
            }

            fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
                (**self).as_dyn_std_error()
            }
        }
    )*};
}

transient_by_deref!(Box<T>, Arc<T>, Rc<T>, &T);

/// Implements `Transient` for a type of error object.
macro_rules! transient_by_chain {
    ($($error:ty),*) => {$(
        /// Delegates to the first error of a recognized type in the chain of sources; permanent if there is none.
        #[diagnostic::do_not_recommend]
        impl Transient for $error {
            fn is_transient(&self) -> bool {
                first_recognized(self).is_some_and(Transient::is_transient)
            }

            fn retry_after(&self) -> Option<Duration> {
                first_recognized(self)?.retry_after()
            }

            fn is_rejection(&self) -> bool {
                is_rejection(self)
            }

            fn may_have_taken_effect(&self) -> bool {
                first_recognized(self).is_none_or(Transient::may_have_taken_effect)
            }

            fn as_dyn_display(&self) -> Option<&dyn Display> {
                Some(self)
            }

            fn as_dyn_std_error(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
    )*};
}

transient_by_chain!(dyn Error + Send + Sync, dyn Error + Send, dyn Error);

/// Returns true if an error is transient and the request certainly [had no effect](Transient::may_have_taken_effect): a predicate for calls
/// that are not idempotent.
///
/// ```
/// use std::{io, net::TcpStream};
/// use steadfast::retry;
///
/// #[retry(retry_if = steadfast::had_no_effect)] // a refused connection is retried, a lost response is not
/// fn charge(server: &str) -> io::Result<()> {
///     let connection = TcpStream::connect(server)?;
///     // ...
/// #   let _ = connection;
///     Ok(())
/// }
/// ```
///
/// It accepts `anyhow::Error` (with the feature `anyhow`) and boxed errors, which it judges by the first error of a recognized type in the chain of
/// sources. Permanent errors are not retried, so it returns false for them. To call a fallback, which also serves calls that an open circuit
/// rejects, negate the method instead: `if = |error| !error.may_have_taken_effect()`.
#[must_use]
pub fn had_no_effect<E: Transient + ?Sized>(error: &E) -> bool {
    error.is_transient() && !error.may_have_taken_effect()
}

/// Returns the verdict of a retry on an error, as its implementation of [`Transient`] defines it.
pub(crate) fn verdict_of<E: Transient + ?Sized>(error: &E) -> Verdict {
    if error.is_transient() {
        return Verdict::Transient { retry_after: error.retry_after() };
    }
    if error.is_rejection() { Verdict::Rejected } else { Verdict::Final }
}
