use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", observe_only = "yes")]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
