//! Orders of timeouts and breakers that are no mistakes, or may be none.
use std::{io, time::Duration};

use steadfast::{BreakerConfig, CircuitBreaker, Transient, circuit_breaker, retry, timeout};

const LIMIT: Duration = Duration::from_secs(3);
static OWN: CircuitBreaker = CircuitBreaker::new("own", BreakerConfig::new());

/// The settings are declared elsewhere.
#[timeout(2s)]
#[circuit_breaker(name = "shared")]
pub async fn by_name() -> io::Result<()> {
    Ok(())
}

#[timeout(2s)]
#[circuit_breaker(breaker = OWN)]
pub async fn by_static() -> io::Result<()> {
    Ok(())
}

#[timeout(2s)]
#[circuit_breaker(name = "hung", hung_call = 2s)]
pub async fn hung_call() -> io::Result<()> {
    Ok(())
}

/// A constant cannot be compared.
#[timeout(2s)]
#[circuit_breaker(name = "constant", hung_call = LIMIT)]
pub async fn constant() -> io::Result<()> {
    Ok(())
}

#[timeout(2s)]
#[circuit_breaker(name = "cancelled", hung_call = 5s, cancelled_call = 1s)]
pub async fn cancelled_call() -> io::Result<()> {
    Ok(())
}

#[timeout(10s)]
#[retry]
#[circuit_breaker(name = "below", failure_threshold = 3)]
#[timeout(9999ms)]
pub async fn timeout_below() -> io::Result<()> {
    Ok(())
}

#[timeout(2s)]
#[timeout(LIMIT)]
pub async fn constant_below() -> io::Result<()> {
    Ok(())
}

#[timeout(2s)]
#[timeout(3s)]
#[circuit_breaker(name = "intended", failure_threshold = 3, allow_order)]
pub async fn intended() -> io::Result<()> {
    Ok(())
}

/// Permanent on purpose.
#[derive(Debug, thiserror::Error, Transient)]
pub enum Error {
    #[error(transparent)]
    #[permanent]
    TimedOut(#[from] steadfast::TimedOut),
    #[error(transparent)]
    #[transient]
    Full(#[from] steadfast::BulkheadFull),
    #[error("{0}")]
    Limited(steadfast::RateLimited),
}

fn main() {}
