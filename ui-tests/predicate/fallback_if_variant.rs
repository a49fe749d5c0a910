use steadfast::fallback;

#[derive(Debug)]
enum DiskError {
    Timeout,
    Busy,
}

#[fallback(|_| Ok(1), if = DiskError::Timeout)]
fn read() -> Result<u8, DiskError> {
    Ok(1)
}

fn main() {}
