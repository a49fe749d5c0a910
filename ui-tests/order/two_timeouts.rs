use std::io;

use steadfast::{circuit_breaker, timeout};

#[timeout(20s)]
#[circuit_breaker(name = "disk")]
#[timeout(1s)]
async fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
