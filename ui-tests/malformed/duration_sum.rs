use std::io;

use steadfast::retry;

#[retry(max_elapsed = 1m + 30s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
