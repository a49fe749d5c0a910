use std::io;

use steadfast::retry;

#[retry(max_retry_after = 0s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
