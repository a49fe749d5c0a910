use steadfast::retry;

#[retry(retry_if(std::io::Error))]
fn read() -> Result<u8, String> {
    Ok(1)
}

fn main() {}
