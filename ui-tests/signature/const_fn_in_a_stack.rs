use steadfast::{circuit_breaker, fallback, retry};

#[fallback(|_| None)]
#[retry]
#[circuit_breaker(name = "disk")]
const fn read() -> Option<u8> {
    Some(1)
}

fn main() {}
