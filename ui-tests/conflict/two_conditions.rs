use std::io;

use steadfast::retry;

#[retry(retry_if = any, retry_if_result = |_| true)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
