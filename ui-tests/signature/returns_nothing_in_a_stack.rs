use steadfast::{circuit_breaker, retry};

#[retry]
#[circuit_breaker(name = "disk")]
fn read() {}

fn main() {}
