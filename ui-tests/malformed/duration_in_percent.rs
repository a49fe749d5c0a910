use std::io;

use steadfast::retry;

#[retry(max_elapsed = 50%)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
