use std::io;

use steadfast::{circuit_breaker, retry};

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

#[circuit_breaker(name = "requests")]
#[retry]
async fn read_in_a_stack(request: Request) -> io::Result<u8> {
    request.send().await
}

fn main() {}
