use std::io;

use steadfast::retry;

#[retry(backoff = fixed)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
