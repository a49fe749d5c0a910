use std::io;

use steadfast::retry;

#[retry(backoff = exponential(base = 1h))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
