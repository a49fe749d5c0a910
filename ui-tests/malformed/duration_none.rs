use std::io;

use steadfast::retry;

#[retry(max_elapsed = None)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
