use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", failure_rate_threshold = 50)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
