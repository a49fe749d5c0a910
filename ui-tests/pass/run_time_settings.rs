//! Settings that are known at run time and the option `rejection`, in a crate with strict lints and without the prelude.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, unused, clippy::pedantic, clippy::nursery)]
#![forbid(unsafe_code)]

use ::core::{clone::Clone as _, convert::Into as _, result::Result::Ok, time::Duration};
use ::std::{io, string::{String, ToString as _}, sync::Arc};
use ::steadfast::{Bulkhead, CircuitBreaker, RateLimit, RetryPolicy, bulkhead, circuit_breaker, rate_limit, retry, timeout};

/// Shadows a primitive type.
#[allow(non_camel_case_types, dead_code)]
struct bool;

/// A client.
pub struct Client {
    retry: RetryPolicy,
    limit: Duration,
    breaker: Arc<CircuitBreaker>,
    rate: RateLimit,
    bulkhead: Arc<Bulkhead>,
}

impl Client {
    /// With all attributes.
    ///
    /// # Errors
    ///
    /// Never.
    #[timeout(self.limit * 3, rejection = |timed_out| timed_out.to_string())]
    #[retry(policy = self.retry, enabled = !order.is_empty(), retry_if = any)]
    #[circuit_breaker(breaker = self.breaker.clone(), rejection = |open| open.to_string())]
    #[rate_limit(rate_limit = self.rate, rejection = |_| String::new())]
    #[bulkhead(bulkhead = self.bulkhead.clone(), rejection = |full| full.name().into())]
    #[timeout(limit, rejection = |_| "late".to_string())]
    pub async fn send(&mut self, order: String, limit: Duration) -> ::core::result::Result<usize, String> {
        ::std::future::ready(()).await;
        let length = order.len() + limit.subsec_nanos() as usize;
        ::core::mem::drop(order);
        Ok(length)
    }

    /// Not `async`.
    ///
    /// # Errors
    ///
    /// Never.
    #[retry(policy = self.retry)]
    #[circuit_breaker(breaker = self.breaker)]
    #[bulkhead(bulkhead = self.bulkhead)]
    pub fn read(&self, path: &str) -> io::Result<usize> {
        Ok(path.len())
    }

    /// No result.
    #[rate_limit(name = "run time settings", limit = 1, per = 1s, rejection = |_| 429)]
    pub fn status(&self, path: &str) -> u16 {
        if path.is_empty() { 404 } else { 200 }
    }
}

fn main() {}
