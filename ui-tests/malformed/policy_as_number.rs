use std::io;

use steadfast::retry;

#[retry(policy = 3)]
fn read() -> io::Result<u8> {
    Ok(1)
}

#[retry(enabled = 1)]
fn write() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
