use std::io;

use steadfast::retry;

#[retry(backoff = exponential { base: 100ms })]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
