use std::io;

use steadfast::{bulkhead, circuit_breaker};

#[circuit_breaker(payments)]
fn charge() -> io::Result<u8> {
    Ok(1)
}

#[bulkhead(payments, max_concurrent = 4)]
fn refund() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
