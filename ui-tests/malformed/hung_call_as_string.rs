use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", hung_call = "5s")]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
