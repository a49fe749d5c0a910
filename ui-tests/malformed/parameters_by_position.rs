use std::io;

use steadfast::retry;

#[retry(backoff = exponential(100ms, 10s))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
