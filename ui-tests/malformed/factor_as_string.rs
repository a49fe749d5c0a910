use std::io;

use steadfast::retry;

#[retry(backoff = exponential(factor = "2"))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
