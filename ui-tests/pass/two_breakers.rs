//! Two breakers in one stack.
#![deny(warnings)]

use std::io;

use steadfast::{circuit_breaker, retry};

#[retry]
#[circuit_breaker(name = "outer")]
#[circuit_breaker(name = "inner")]
async fn both() -> io::Result<()> {
    Ok(())
}

fn main() {
    drop(both());
}
