use std::io;

use steadfast::retry;

#[retry(clone = path)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
