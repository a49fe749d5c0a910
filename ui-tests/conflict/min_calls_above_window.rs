use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", window = calls(5), min_calls = 6)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
