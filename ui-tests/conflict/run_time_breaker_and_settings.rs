use std::io;

use steadfast::{CircuitBreaker, circuit_breaker};

struct Disk {
    breaker: CircuitBreaker,
}

impl Disk {
    #[circuit_breaker(breaker = self.breaker, failure_threshold = 3)]
    fn read(&self) -> io::Result<u8> {
        Ok(1)
    }
}

fn main() {}
