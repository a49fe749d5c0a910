use std::io;

use steadfast::retry;

#[retry(retry_if_result = |value: &u8| *value == 1)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
