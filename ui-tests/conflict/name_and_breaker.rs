use std::io;

use steadfast::{BreakerConfig, CircuitBreaker, circuit_breaker};

static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new());

#[circuit_breaker(name = "disk", breaker = DISK)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
