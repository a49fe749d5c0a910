use std::io;

use steadfast::retry;

fn is_busy(error: &String) -> bool {
    error == "busy"
}

#[retry(retry_if = is_busy)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
