use steadfast::{circuit_breaker, retry};

#[retry]
#[circuit_breaker(name = "disk")]
struct Disk;

fn main() {}
