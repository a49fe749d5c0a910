use steadfast::{bulkhead, circuit_breaker, rate_limit, timeout};

#[derive(Debug)]
enum DiskError {
    Busy,
}

#[timeout(10s)]
#[rate_limit(name = "disk", limit = 5, per = 1s)]
#[bulkhead(name = "disk")]
#[circuit_breaker(name = "disk", hung_call = 1s)]
async fn read() -> Result<u8, DiskError> {
    Err(DiskError::Busy)
}

fn main() {}
