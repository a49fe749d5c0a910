use steadfast::retry;

#[derive(Debug)]
enum DiskError {
    Timeout,
    Busy,
}

#[retry(retry_if(DiskError::Timeout))]
fn read() -> Result<u8, DiskError> {
    Ok(1)
}

fn main() {}
