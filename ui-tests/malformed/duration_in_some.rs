use std::io;

use steadfast::retry;

#[retry(max_elapsed = Some(30s))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
