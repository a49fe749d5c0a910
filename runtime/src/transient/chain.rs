//! The chain of sources of an error, and the first error in it whose type implements [`Transient`].

use std::{error::Error, io, sync::Arc};

use super::known;
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient};

/// Returns the first error in the chain of sources whose type is recognized as [`Transient`]: built in, or derived.
pub(crate) fn first_recognized<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    sources(error).find_map(|error| built_in(error).or_else(|| known::find(error)))
}

/// Returns true if the [first recognized error](first_recognized) is a rejection.
pub(crate) fn is_rejection(error: &(dyn Error + 'static)) -> bool {
    first_recognized(error).is_some_and(Transient::is_rejection)
}

/// Returns the error as [`Transient`], if this crate implements the trait for its type.
fn built_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
    let types = [
        downcast::<io::Error>,
        downcast::<CircuitOpen>,
        downcast::<BulkheadFull>,
        downcast::<RateLimited>,
        downcast::<TimedOut>,
        #[cfg(feature = "tokio")]
        downcast::<tokio::time::error::Elapsed>,
        #[cfg(feature = "h2")]
        downcast::<::h2::Error>,
        #[cfg(feature = "hyper")]
        downcast::<::hyper::Error>,
        #[cfg(feature = "hyper-util")]
        downcast::<::hyper_util::client::legacy::Error>,
        #[cfg(feature = "redis")]
        downcast::<::redis::RedisError>,
        #[cfg(feature = "reqwest")]
        downcast::<::reqwest::Error>,
        #[cfg(feature = "sqlx")]
        downcast::<::sqlx::Error>,
        #[cfg(feature = "tokio-postgres")]
        downcast::<::tokio_postgres::Error>,
        #[cfg(feature = "tonic")]
        downcast::<::tonic::Status>,
    ];
    types.into_iter().find_map(|downcast| downcast(error))
}

/// Returns the error as [`Transient`], if it is of type `E`, or a pointer to an `E`.
pub(crate) fn downcast<'a, E: Error + Transient + 'static>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a dyn Transient> {
    downcast_through::<E>(error).map(|error| error as _)
}

/// Returns the error as an `E`, if it is one, or a pointer to one. The `source()` of a pointer returns the source of the error that it
/// points to, so that a chain of sources does not contain this error itself.
fn downcast_through<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error
        .downcast_ref::<E>()
        .or_else(|| error.downcast_ref::<Box<E>>().map(|error| &**error))
        .or_else(|| error.downcast_ref::<Arc<E>>().map(|error| &**error))
        .or_else(|| error.downcast_ref::<&'static E>().copied())
}

/// Iterates over the error itself and its chain of sources.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| wrapped(error).or_else(|| error.source()))
}

/// Returns the error that an [`io::Error`], or a pointer to an error, wraps. Their `source()` returns the source of the wrapped error, not
/// the wrapped error itself.
fn wrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|wrapped| wrapped as _);
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    downcast_through::<io::Error>(error).map(|error| error as _)
}
