use std::io;

use steadfast::retry;

#[retry(backoff = exponential(base = 1s, base = 2s))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
