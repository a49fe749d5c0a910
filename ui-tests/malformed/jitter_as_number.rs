use std::io;

use steadfast::retry;

#[retry(jitter = 0.1)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
