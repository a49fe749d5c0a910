use std::io;

use steadfast::retry;

#[retry(jitter = proportional(10%))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
