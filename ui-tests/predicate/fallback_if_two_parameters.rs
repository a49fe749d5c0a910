use std::io;

use steadfast::fallback;

#[fallback(|_| Ok(1), if = |error, attempt| true)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
