use std::io;

use steadfast::retry;

#[retry(colour = 5)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
