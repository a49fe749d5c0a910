use std::io;

use steadfast::retry;

#[retry(failure_threshold = 3)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
