use std::io;

use steadfast::timeout;

#[timeout(20s)]
#[timeout(1s)]
async fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
