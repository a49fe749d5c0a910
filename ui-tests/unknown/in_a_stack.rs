use std::io;

use steadfast::{circuit_breaker, retry};

#[retry(max_attemps = 5)]
#[circuit_breaker(name = "disk", recovery = 5s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
