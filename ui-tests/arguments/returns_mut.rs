use std::io;

use steadfast::retry;

#[retry]
async fn last(items: &mut Vec<u8>) -> io::Result<&mut u8> {
    Ok(&mut items[0])
}

fn main() {}
