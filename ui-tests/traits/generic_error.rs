use steadfast::circuit_breaker;

#[circuit_breaker(name = "payments")]
fn charge<E>(error: E) -> Result<(), E> {
    Err(error)
}

fn main() {
    _ = charge("declined");
}
