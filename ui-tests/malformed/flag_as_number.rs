use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", observe_only = 1)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
