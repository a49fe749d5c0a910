use std::io;

use steadfast::{circuit_breaker, retry};

fn main() {
    let read = #[retry]
    #[circuit_breaker(name = "disk")]
    || -> io::Result<u8> { Ok(1) };
    drop(read);
}
