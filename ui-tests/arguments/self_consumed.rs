use std::io;

use steadfast::retry;

struct Client;

fn send<T>(_: T) -> io::Result<()> {
    Ok(())
}

impl Client {
    #[retry]
    fn run(self) -> io::Result<()> {
        send(self)
    }
}

fn main() {}
