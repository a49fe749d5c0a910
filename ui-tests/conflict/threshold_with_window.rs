use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", failure_threshold = 3, window = calls(100))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
