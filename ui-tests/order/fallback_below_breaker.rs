use steadfast::{circuit_breaker, fallback};

#[circuit_breaker(name = "mail")]
#[fallback(send)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
