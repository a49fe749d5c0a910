use std::io;

use steadfast::retry;

#[retry]
fn call(mut op: impl FnMut() -> io::Result<u8>) -> io::Result<u8> {
    op()
}

fn main() {}
