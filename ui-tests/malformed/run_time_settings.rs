use std::{io, time::Duration};

use steadfast::{bulkhead, circuit_breaker, rate_limit, retry};

struct Client {
    max_attempts: u32,
    limit: u32,
}

impl Client {
    #[retry(max_attempts = self.max_attempts)]
    fn attempts(&self) -> io::Result<()> {
        Ok(())
    }

    #[rate_limit(name = "calls", limit = self.limit, per = 1s)]
    fn limited(&self) -> io::Result<()> {
        Ok(())
    }
}

#[retry(backoff = exponential(base = base), max_elapsed = longest)]
fn backoff(base: Duration, longest: Duration) -> io::Result<()> {
    _ = base + longest;
    Ok(())
}

#[circuit_breaker(name = "disk", window = calls(size))]
async fn window(size: u32) -> io::Result<()> {
    _ = size;
    Ok(())
}

#[bulkhead(name = "disk", max_concurrent = calls)]
fn held(calls: u32) -> io::Result<()> {
    _ = calls;
    Ok(())
}

fn main() {}
