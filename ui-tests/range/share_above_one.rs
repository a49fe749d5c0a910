use std::io;

use steadfast::retry;

#[retry(jitter = proportional(1.5))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
