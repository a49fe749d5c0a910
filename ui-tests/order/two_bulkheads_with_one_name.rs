use std::io;

use steadfast::bulkhead;

#[bulkhead(name = "disk")]
#[bulkhead(name = "disk", max_concurrent = 5)]
fn read() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
