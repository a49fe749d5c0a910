use std::io;

use steadfast::circuit_breaker;

struct Letter(u8);

fn post(letter: Letter) -> io::Result<u8> {
    Ok(letter.0)
}

#[circuit_breaker(name = "letters", failure_if = |_| letter.0 > 0)]
fn send(letter: Letter) -> io::Result<u8> {
    post(letter)
}

fn main() {}
