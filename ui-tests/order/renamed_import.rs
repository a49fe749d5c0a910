use std::io;

use steadfast::{circuit_breaker, retry as again};

// Found by the retry, which is expanded first.
#[again]
#[circuit_breaker(name = "search")]
fn search() -> io::Result<()> {
    Ok(())
}

#[circuit_breaker(name = "index")]
#[again(max_attempts = 2)]
fn index() -> io::Result<()> {
    Ok(())
}

fn main() {}
