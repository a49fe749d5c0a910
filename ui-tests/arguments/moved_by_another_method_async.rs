use std::io;

use steadfast::retry;

#[derive(Clone)]
struct Request;

impl Request {
    async fn send(self) -> io::Result<u8> {
        Ok(1)
    }
}

#[retry]
async fn read(request: Request) -> io::Result<u8> {
    request.send().await
}

fn main() {}
