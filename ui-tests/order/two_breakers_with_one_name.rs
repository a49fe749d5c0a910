use std::io;

use steadfast::{circuit_breaker, retry};

#[circuit_breaker(name = "disk", failure_threshold = 3)]
#[retry]
#[circuit_breaker(name = "disk")]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
