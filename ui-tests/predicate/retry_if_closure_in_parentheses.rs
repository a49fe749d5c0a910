use std::io;

use steadfast::retry;

#[retry(retry_if(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
