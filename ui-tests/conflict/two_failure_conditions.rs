use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", failure_if_result = |_| true, failure_if(io::Error))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
