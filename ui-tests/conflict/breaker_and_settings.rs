use std::io;

use steadfast::{BreakerConfig, CircuitBreaker, circuit_breaker};

static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new());

#[circuit_breaker(breaker = DISK, failure_threshold = 3)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
