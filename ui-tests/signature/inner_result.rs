use std::io;

use steadfast::retry;

#[retry]
async fn read() -> io::Result<Result<u8, io::Error>> {
    Ok(Ok(1))
}

fn main() {}
