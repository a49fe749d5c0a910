//! An unused argument draws a warning, as in a plain function.
#![deny(unused_variables, unused_mut)]

use std::io;

use steadfast::{circuit_breaker, retry};

#[circuit_breaker(name = "unused")]
fn sync(unused: String, used: u8) -> io::Result<u8> {
    Ok(used)
}

#[retry(max_attempts = 1)]
async fn asynchronous(used: String, (unused, _): (u8, String)) -> io::Result<usize> {
    Ok(used.len())
}

#[circuit_breaker(name = "unused")]
fn never_changed(mut count: u8) -> io::Result<u8> {
    Ok(count)
}

fn main() {}
