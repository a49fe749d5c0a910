use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", recovery_timeout = -5s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
