use std::io;

use steadfast::{BulkheadConfig, Bulkhead, bulkhead};

static DISK: Bulkhead = Bulkhead::new("disk", BulkheadConfig::new());

#[bulkhead(bulkhead = DISK, key = disk)]
fn read(disk: u8) -> io::Result<u8> {
    Ok(disk)
}

fn main() {}
