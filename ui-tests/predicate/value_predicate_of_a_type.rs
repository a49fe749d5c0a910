use std::io;

use steadfast::{circuit_breaker, retry};

#[circuit_breaker(name = "disk", failure_if_result = io::Error)]
fn after_equals() -> io::Result<u8> {
    Ok(1)
}

#[circuit_breaker(name = "disk", failure_if_result(io::Error))]
fn in_parentheses() -> io::Result<u8> {
    Ok(1)
}

#[retry(retry_if_result(io::Error))]
fn retried() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
