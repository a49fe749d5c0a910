use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", failure_if_result = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut)]
fn read() -> io::Result<u8> {
    Ok(1)
}

#[circuit_breaker(name = "disk", failure_if_result = true)]
fn write() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
