use std::io;

use steadfast::circuit_breaker;

fn is_busy(error: &String) -> bool {
    error == "busy"
}

#[circuit_breaker(name = "disk", failure_if = is_busy)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
