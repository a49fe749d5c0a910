use std::io;

use steadfast::{circuit_breaker, retry};

#[circuit_breaker(name = "disk")]
#[retry = 3]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
