use std::io;

use steadfast::retry;

struct Client;

fn send<T>(_: T) -> io::Result<()> {
    Ok(())
}

impl Client {
    #[retry]
    fn run(mut self) -> io::Result<()> {
        self = Client;
        Ok(())
    }
}

fn main() {}
