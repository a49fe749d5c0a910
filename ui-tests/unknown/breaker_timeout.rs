use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", timeout = 5s)]
async fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
