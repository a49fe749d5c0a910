use std::io;

use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk", slow_call = 2s, slow_call_rate = 0.5)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
