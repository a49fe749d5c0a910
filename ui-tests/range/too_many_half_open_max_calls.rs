use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", half_open_max_calls = 256)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
