use steadfast::circuit_breaker;

#[circuit_breaker(name = "disk")]
fn read() -> (u8, u8) {
    (1, 2)
}

fn main() {}
