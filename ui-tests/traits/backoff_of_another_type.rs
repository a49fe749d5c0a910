use std::io;

use steadfast::retry;

static SLOW: u32 = 5;

#[retry(backoff = SLOW)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
