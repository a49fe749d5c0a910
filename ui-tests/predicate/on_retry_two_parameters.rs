use std::io;

use steadfast::retry;

fn log(attempt: u32, error: &io::Error) {
    eprintln!("{attempt}: {error}");
}

#[retry(on_retry = log)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
