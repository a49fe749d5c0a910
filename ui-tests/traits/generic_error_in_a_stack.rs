use steadfast::{circuit_breaker, retry};

#[retry]
#[circuit_breaker(name = "disk")]
fn read<E: std::fmt::Debug>() -> Result<u8, E> {
    Ok(1)
}

fn main() {}
