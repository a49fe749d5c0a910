use std::io;

use steadfast::{BreakerConfig, CircuitBreaker, circuit_breaker};

static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new());

#[circuit_breaker(breaker = DISK, key = disk)]
fn read(disk: u8) -> io::Result<u8> {
    Ok(disk)
}

fn main() {}
