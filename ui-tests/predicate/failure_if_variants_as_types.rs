use steadfast::circuit_breaker;

#[derive(Debug)]
enum DiskError {
    Timeout,
    Busy,
}

#[circuit_breaker(name = "disk", failure_if(DiskError::Timeout, DiskError::Busy))]
fn read() -> Result<u8, DiskError> {
    Ok(1)
}

fn main() {}
