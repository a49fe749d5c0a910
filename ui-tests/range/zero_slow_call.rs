use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", window = calls(100), slow_call = 0s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
