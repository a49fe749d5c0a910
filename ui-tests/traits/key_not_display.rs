use std::io;

use steadfast::circuit_breaker;

struct Disk(u8);

#[circuit_breaker(name = "disks", key = disk)]
fn read(disk: &Disk) -> io::Result<u8> {
    Ok(disk.0)
}

fn main() {}
