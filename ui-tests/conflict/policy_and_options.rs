use std::io;

use steadfast::{RetryPolicy, retry};

static POLICY: RetryPolicy = RetryPolicy::new();

#[retry(policy = POLICY, max_attempts = unlimited, backoff = none, name = "disk")]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
