//! The conversions of rejections and timeouts into the errors of clients, and the clients' errors as [`InnerError`]s.
//!
//! A conversion exists for a client whose error type can contain the rejection, so that a retry recognizes it in the chain of sources.
//! `tonic::Status` has its own conversions, since each rejection has a code of its own.

#[cfg(any(feature = "sqlx", feature = "redis"))]
use std::io;

#[cfg(any(
    feature = "anyhow",
    feature = "h2",
    feature = "http",
    feature = "hyper",
    feature = "hyper-util",
    feature = "redis",
    feature = "reqwest",
    feature = "sqlx",
    feature = "tokio-postgres",
    feature = "tonic"
))]
use crate::InnerError;
#[cfg(any(feature = "sqlx", feature = "redis"))]
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut};

/// Implements the conversion of all rejections into an error type by way of `io::Error`.
#[cfg(any(feature = "sqlx", feature = "redis"))]
macro_rules! from_rejections_by_io {
    ($error:ty, $text:literal: $($rejection:ty),*) => {$(
        #[doc = $text]
        impl From<$rejection> for $error {
            fn from(rejection: $rejection) -> Self {
                io::Error::from(rejection).into()
            }
        }
    )*};
}

#[cfg(feature = "sqlx")]
from_rejections_by_io!(
    ::sqlx::Error, "Creates a `sqlx::Error::Io` whose chain of sources contains the rejection.":
    CircuitOpen, RateLimited, BulkheadFull, TimedOut
);
#[cfg(feature = "redis")]
from_rejections_by_io!(
    ::redis::RedisError, "Creates an error of kind `Io` whose chain of sources contains the rejection.":
    CircuitOpen, RateLimited, BulkheadFull, TimedOut
);

#[cfg(feature = "anyhow")]
impl InnerError for ::anyhow::Error {}
#[cfg(feature = "h2")]
impl InnerError for ::h2::Error {}
#[cfg(feature = "hyper")]
impl InnerError for ::hyper::Error {}
#[cfg(feature = "hyper-util")]
impl InnerError for ::hyper_util::client::legacy::Error {}
#[cfg(feature = "http")]
impl InnerError for ::http::StatusCode {}
#[cfg(feature = "redis")]
impl InnerError for ::redis::RedisError {}
#[cfg(feature = "reqwest")]
impl InnerError for ::reqwest::Error {}
#[cfg(feature = "sqlx")]
impl InnerError for ::sqlx::Error {}
#[cfg(feature = "tokio-postgres")]
impl InnerError for ::tokio_postgres::Error {}
#[cfg(feature = "tonic")]
impl InnerError for ::tonic::Status {}
