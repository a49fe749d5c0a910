use steadfast::circuit_breaker;

#[circuit_breaker(name = "payments")]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {
    _ = charge();
}
