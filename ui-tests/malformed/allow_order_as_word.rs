use std::io;

use steadfast::retry;

#[retry(allow_order = yes)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
