use std::io;

use steadfast::{BreakerConfig, CircuitBreaker, retry};

static BREAKER: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new());

#[retry(budget = BREAKER)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
