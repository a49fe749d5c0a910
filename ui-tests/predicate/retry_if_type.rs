use std::io;

use steadfast::retry;

#[retry(retry_if = io::Error)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
