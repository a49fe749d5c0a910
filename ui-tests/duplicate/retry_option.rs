use std::io;

use steadfast::retry;

#[retry(max_attempts = 5, jitter = full, max_attempts = 6)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
