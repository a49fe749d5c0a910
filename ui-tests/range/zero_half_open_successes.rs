use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", half_open_successes = 0)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
