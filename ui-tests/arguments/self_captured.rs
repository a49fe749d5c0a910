use std::io;

use steadfast::retry;

struct Client;

fn send<T>(_: T) -> io::Result<()> {
    Ok(())
}

impl Client {
    #[retry]
    async fn run(&mut self) -> io::Result<()> {
        async move { send(self) }.await
    }
}

fn main() {}
