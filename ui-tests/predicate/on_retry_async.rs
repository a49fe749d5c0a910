use std::io;

use steadfast::retry;

#[retry(on_retry = async |attempt, delay, error| {})]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
