use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", window = calls(100), failure_rate = 50%, min_calls = 5)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
