use std::io;

use steadfast::{BreakerConfig, KeyedBreakers, circuit_breaker};

static DISKS: KeyedBreakers = KeyedBreakers::new("disks", BreakerConfig::new());

#[circuit_breaker(breaker = DISKS, key = disk, max_keys = 100)]
fn read(disk: u8) -> io::Result<u8> {
    Ok(disk)
}

fn main() {}
