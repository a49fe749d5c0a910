use std::io;

use steadfast::retry;

struct Client;

fn send<T>(_: T) -> io::Result<()> {
    Ok(())
}

#[retry(clone(order))]
fn run(text: String) -> io::Result<()> {
    send(text)
}

fn main() {}
