use std::io;

use steadfast::retry;

#[retry(MAX_ATTEMPTS)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
