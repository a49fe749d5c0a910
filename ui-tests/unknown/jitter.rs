use std::io;

use steadfast::retry;

#[retry(jitter = ful)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
