//! Transient errors: the implementations of [`Transient`] for foreign types, and the search in chains of sources.

#[cfg(feature = "anyhow")]
mod anyhow;
pub(crate) mod chain;
#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod known;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(feature = "tonic")]
mod tonic;

use std::{error::Error, io, time::Duration};

use self::chain::{decisive, is_rejection};
use crate::{Transient, stack::Verdict};

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
impl Transient for tokio::time::error::Elapsed {
    fn is_transient(&self) -> bool {
        true
    }
}

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

/// The verdict of a retry on an error, by the type of the error.
pub(crate) fn verdict_of<E: Transient + ?Sized>(error: &E) -> Verdict {
    if error.is_transient() {
        return Verdict::Transient { retry_after: error.retry_after() };
    }
    if error.is_rejection() { Verdict::Rejected } else { Verdict::Final }
}
