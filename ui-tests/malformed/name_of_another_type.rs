use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = PORT)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}

const PORT: u16 = 80;
