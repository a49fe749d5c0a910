use std::io;

use steadfast::retry;

#[retry(
    max_times = 3,
    min_delay = 100ms,
    with_jitter = true,
    retry_on = io::Error,
    notify = log,
    total_timeout = 30s
)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
