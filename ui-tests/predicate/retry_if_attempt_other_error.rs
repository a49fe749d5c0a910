use std::io;

use steadfast::retry;

#[retry(retry_if = |error: &String, attempt: u32| error.is_empty() && attempt < 3)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {
    _ = read();
}
