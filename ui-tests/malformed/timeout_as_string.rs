use std::io;

use steadfast::timeout;

#[timeout("5s")]
async fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
