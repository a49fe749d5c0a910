use steadfast::retry;

#[retry(retry_if(503))]
fn read() -> Result<u8, u16> {
    Ok(1)
}

fn main() {}
