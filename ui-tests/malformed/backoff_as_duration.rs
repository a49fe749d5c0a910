use std::io;

use steadfast::retry;

#[retry(backoff = 100ms)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
