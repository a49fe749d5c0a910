//! All attributes in the recommended order, in a crate with strict lints and shadowed names.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, unused, clippy::pedantic, clippy::nursery)]
#![forbid(unsafe_code)]

use ::steadfast::{bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout};

#[allow(non_camel_case_types, dead_code)]
mod shadow {
    pub struct Result;
    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Err;
    pub struct Duration;
    pub mod std {}
    pub mod core {}
}

#[allow(unused_imports)]
use shadow::*;

/// All attributes.
///
/// # Errors
///
/// Never.
#[fallback(cached, later, |error| if owned.is_empty() { ::core::result::Result::Err(error) } else { ::core::result::Result::Ok(0) })]
#[timeout(10s)]
#[retry(max_attempts = 2)]
#[circuit_breaker(name = "family")]
#[rate_limit(name = "family", limit = 10, per = 1s, max_wait = 1s, key = outcome)]
#[bulkhead(name = "family", max_concurrent = 5, max_wait = 1s)]
#[timeout(2s)]
pub async fn all(outcome: &str, mut error: u8, owned: ::std::string::String) -> ::std::io::Result<usize> {
    error += 1;
    ::core::mem::drop(owned);
    ::core::result::Result::Ok(if error > 0 { outcome.len() } else { 0 })
}

fn cached(outcome: &str, error: u8, _: ::std::string::String) -> ::std::io::Result<usize> {
    ::core::result::Result::Ok(if error > 0 { outcome.len() } else { 0 })
}

async fn later(outcome: &str, error: u8, owned: ::std::string::String) -> ::std::io::Result<usize> {
    ::std::future::ready(()).await;
    cached(outcome, error, owned)
}

/// Not `async`.
#[rate_limit(name = "family, not async", limit = 10, per = 1s)]
#[bulkhead(name = "family, not async", max_concurrent = 5)]
#[fallback(|_| ::core::option::Option::Some(1), allow_order)]
#[must_use]
pub fn sync(answer: u8) -> ::core::option::Option<u8> {
    answer.checked_sub(1)
}

fn main() {
    ::core::mem::drop(all("", 1, ::std::string::String::new()));
    ::core::assert_eq!(sync(0), ::core::option::Option::Some(1));
}
