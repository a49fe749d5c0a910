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
    fn downcast<'a, E: Error + Transient + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Transient> {
        error.downcast_ref::<E>().map(|error| error as _)
    }

    let types = [
        downcast::<io::Error>,
        downcast::<CircuitOpen>,
        downcast::<BulkheadFull>,
        downcast::<RateLimited>,
        downcast::<TimedOut>,
        #[cfg(feature = "tokio")]
        downcast::<tokio::time::error::Elapsed>,
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

/// Iterates over the error itself and its chain of sources.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| wrapped(error).or_else(|| error.source()))
}

/// Returns the error that an [`io::Error`] or an `Arc` wraps. Their `source()` returns the source of the wrapped error, not
/// the wrapped error itself.
fn wrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    error.downcast_ref::<io::Error>()?.get_ref().map(|wrapped| wrapped as _)
}
