use std::io;

use steadfast::retry;

#[retry(clone(self))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
