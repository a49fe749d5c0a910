//! A program with distributed slices of its own, under names that steadfast might use as well.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;

use linkme::distributed_slice;
use steadfast::{
    BreakerConfig, CircuitBreaker, Transient, bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout,
};

/// Declares empty slices with an element type that steadfast does not use.
macro_rules! own_slices {
    ($($name:ident)*) => {
        $(
            #[distributed_slice]
            static $name: [&'static str];
        )*

        fn own_elements() -> Vec<&'static str> {
            [$(&$name[..]),*].concat()
        }
    };
}

own_slices!(POLICIES KNOWN REGISTERED DECLARATIONS DECLARED BULKHEADS RATE_LIMITS KEYED_RATE_LIMITS);

#[derive(Debug, thiserror::Error, Transient)]
#[error("not now")]
#[transient]
struct NotNow;

#[retry(name = "called", max_attempts = 2)]
#[rate_limit(name = "called", limit = 10, per = 1s)]
#[rate_limit(name = "called by key", key = 1, limit = 10, per = 1s)]
#[bulkhead(name = "called", max_concurrent = 1)]
#[circuit_breaker(name = "called")]
#[circuit_breaker(name = "called by key", key = 1)]
fn call() -> io::Result<()> {
    Ok(())
}

#[fallback(|_| Ok(()))]
#[timeout(1s)]
async fn call_in_time() -> io::Result<()> {
    Ok(())
}

static LISTED: CircuitBreaker = CircuitBreaker::new("listed", BreakerConfig::new());
steadfast::register!(LISTED);

#[tokio::test]
async fn slices_of_the_program_do_not_clash_with_those_of_the_crate() {
    call().unwrap();
    call_in_time().await.unwrap();
    assert!(steadfast::breaker("called").is_some() && steadfast::breaker("listed").is_some());
    assert!(steadfast::keyed_breakers("called by key").is_some());
    assert!(bulkhead("called").is_some() && rate_limit("called").is_some());
    assert!(steadfast::keyed_rate_limits("called by key").is_some());
    assert_eq!(steadfast::retries().len(), 1);
    steadfast::validate().unwrap();
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(NotNow);
    assert!(boxed.is_transient());
    assert_eq!(own_elements().len(), 0);
}
