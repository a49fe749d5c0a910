use std::io;

use steadfast::{circuit_breaker, retry};

#[retry]
#[circuit_breaker(name = "callers")]
#[track_caller]
fn load() -> io::Result<&'static std::panic::Location<'static>> {
    Ok(std::panic::Location::caller())
}

fn main() {}
