use std::io;

use steadfast::rate_limit;

#[rate_limit(100, 60s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
