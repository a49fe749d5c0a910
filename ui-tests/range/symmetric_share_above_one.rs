use std::io;

use steadfast::retry;

#[retry(jitter = symmetric(20))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
