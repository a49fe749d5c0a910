use std::io;

use steadfast::{circuit_breaker, timeout};

#[circuit_breaker(name = "payments", rejection = "closed")]
fn charge() -> Result<(), String> {
    Ok(())
}

#[timeout(2s, rejection = || io::ErrorKind::TimedOut.into())]
async fn send() -> io::Result<()> {
    Ok(())
}

fn main() {}
