use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", failure_if = |error, attempt| true)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
