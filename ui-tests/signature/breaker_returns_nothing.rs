use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk")]
fn read() {}

fn main() {}
