use std::io;

use steadfast::retry;

fn is_busy(_: &io::Error) -> bool {
    true
}

#[retry(retry_if(is_busy))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
