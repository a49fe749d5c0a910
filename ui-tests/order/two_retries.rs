use std::io;

use steadfast::{circuit_breaker, retry};

#[retry(max_attempts = 3)]
#[circuit_breaker(name = "disk")]
#[retry(max_attempts = 2)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
