use std::io;

use steadfast::retry;

#[retry(retry_if = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut)]
fn read() -> Option<u8> {
    None
}

fn main() {}
