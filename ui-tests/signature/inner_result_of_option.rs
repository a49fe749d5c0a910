use std::io;

use steadfast::retry;

#[retry(max_attempts = 5)]
fn read() -> Option<io::Result<u8>> {
    None
}

fn main() {}
