use std::io;

use steadfast::retry;

#[retry(backoff = constant(1s))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
