use std::io;

use steadfast::{circuit_breaker, retry};

struct Disk;

#[retry]
#[circuit_breaker(name = "disk")]
impl Disk {
    fn read(&self) -> io::Result<u8> {
        Ok(1)
    }
}

fn main() {}
