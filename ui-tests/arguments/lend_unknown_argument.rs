use std::io;

use steadfast::retry;

#[retry(lend(raeder))]
fn read(mut reader: impl io::Read) -> io::Result<usize> {
    reader.read(&mut [0; 8])
}

fn main() {}
