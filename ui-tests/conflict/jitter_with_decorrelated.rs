use std::io;

use steadfast::retry;

#[retry(backoff = decorrelated(base = 1s, max = 5s), jitter = full)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
