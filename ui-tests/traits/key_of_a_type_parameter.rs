use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", key = disk)]
fn read<T>(disk: &T) -> io::Result<u8> {
    Ok(1)
}

fn main() {}
