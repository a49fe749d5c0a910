use std::io;

use steadfast::retry;

#[retry(clone(order), lend(order))]
fn post(order: String) -> io::Result<usize> {
    Ok(order.len())
}

fn main() {}
