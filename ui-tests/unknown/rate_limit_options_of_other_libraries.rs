use std::io;

use steadfast::rate_limit;

#[rate_limit(name = "disk", limit_for_period = 100, limit_refresh_period = 1s, timeout_duration = 1s)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
