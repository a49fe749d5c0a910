use std::io;

use steadfast::{BreakerConfig, CircuitBreaker, circuit_breaker};

#[circuit_breaker(breaker = CircuitBreaker::new("disk", BreakerConfig::new()))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {
    _ = CircuitBreaker::new("mail", BreakerConfig::new());
}
