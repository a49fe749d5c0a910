use std::io;

use steadfast::retry;

const NONE: u32 = 0;

#[retry(max_attempts = NONE)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
