use std::io;

use steadfast::retry;

#[retry(on_retry = |error| println!("{error}"))]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
