//! The variants that the compiler recommends if a `From` is missing, pasted unchanged.
use std::time::Duration;

use steadfast::{
    Bulkhead, BulkheadConfig, BreakerConfig, CircuitBreaker, RateLimit, RateLimitConfig, Timeout, Transient, bulkhead,
    circuit_breaker, rate_limit, retry, timeout,
};

#[derive(Debug, thiserror::Error, Transient)]
pub enum Error {
    #[error(transparent)] Open(#[from] steadfast::CircuitOpen),
    #[error(transparent)] #[transient(inherit)] Limited(#[from] steadfast::RateLimited),
    #[error(transparent)] #[transient(inherit)] Full(#[from] steadfast::BulkheadFull),
    #[error(transparent)] #[transient(inherit)] TimedOut(#[from] steadfast::TimedOut),
}

#[retry]
#[circuit_breaker(name = "recommended")]
#[rate_limit(name = "recommended", limit = 1, per = 60s)]
#[bulkhead(name = "recommended")]
#[timeout(1s)]
pub async fn all() -> Result<(), Error> {
    Ok(())
}

/// Without `derive(Transient)`.
#[derive(Debug, thiserror::Error)]
pub enum Plain {
    #[error(transparent)] Open(#[from] steadfast::CircuitOpen),
    #[error(transparent)] Limited(#[from] steadfast::RateLimited),
    #[error(transparent)] Full(#[from] steadfast::BulkheadFull),
    #[error(transparent)] TimedOut(#[from] steadfast::TimedOut),
}

#[circuit_breaker(name = "recommended")]
#[rate_limit(name = "recommended")]
#[bulkhead(name = "recommended")]
#[timeout(1s)]
pub async fn plain() -> Result<(), Plain> {
    Ok(())
}

fn main() {
    let circuit = CircuitBreaker::new("open", BreakerConfig::new());
    circuit.force_open();
    let open = Error::from(circuit.try_acquire().unwrap_err());
    assert_eq!((open.is_transient(), open.is_rejection()), (false, true));

    let limit = RateLimit::new("reached", RateLimitConfig::new(1, Duration::from_secs(60)));
    limit.try_acquire().unwrap();
    let limited = Error::from(limit.try_acquire().unwrap_err());
    assert!(limited.is_transient() && limited.retry_after() > Some(Duration::from_secs(50)));

    let places = Bulkhead::new("full", BulkheadConfig::new().max_concurrent(1));
    let _place = places.try_acquire().unwrap();
    assert!(Error::from(places.try_acquire().unwrap_err()).is_transient());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let late = Timeout::new(Duration::from_secs(1));
    let late = late.run_async(async || std::future::pending::<Result<(), Error>>().await);
    assert!(runtime.block_on(late).unwrap_err().is_transient());
}
