use std::io;

use steadfast::retry;

const LIMIT: &str = "5";

#[retry(max_attempts = LIMIT)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
