use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", recovery_timeout = exponential(30s, 5m))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
