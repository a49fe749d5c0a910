use std::io;

use steadfast::retry;

#[retry(max_attempts 3)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
