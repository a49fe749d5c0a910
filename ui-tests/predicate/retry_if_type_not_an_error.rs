use std::io;

use steadfast::retry;

#[retry(retry_if(String))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
