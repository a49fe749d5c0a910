use std::io;

use steadfast::retry;

struct Client;

fn send<T>(_: T) -> io::Result<()> {
    Ok(())
}

#[retry(clone(text))]
fn run(text: &mut String) -> io::Result<()> {
    send(text)
}

fn main() {}
