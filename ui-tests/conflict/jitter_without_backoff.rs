use std::io;

use steadfast::retry;

#[retry(backoff = none, jitter = full)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
