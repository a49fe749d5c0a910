use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", key = 1, max_keys = 0)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
