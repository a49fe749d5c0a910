use steadfast::retry;

#[derive(Debug)]
enum DiskError {
    Timeout,
    Busy,
}

#[retry(retry_if = matches!(error, DiskError::Timeout))]
fn read() -> Result<u8, DiskError> {
    Ok(1)
}

fn main() {}
