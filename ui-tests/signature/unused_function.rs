#![deny(dead_code)]

use std::io;

use steadfast::{circuit_breaker, retry, timeout};

#[retry]
fn retried() -> io::Result<()> {
    Ok(())
}

#[circuit_breaker(name = "disk")]
fn protected() -> io::Result<()> {
    Ok(())
}

#[retry]
#[timeout(1s)]
async fn limited() -> io::Result<()> {
    Ok(())
}

fn main() {}
