use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", half_open_max_calls = 4, half_open_successes = 5)]
fn read() -> io::Result<u8> {
    Ok(1)
}

#[circuit_breaker(name = "disk", half_open_successes = 5)]
fn write() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
