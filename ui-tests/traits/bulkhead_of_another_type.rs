use steadfast::{BreakerConfig, CircuitBreaker, bulkhead};

static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());

#[bulkhead(bulkhead = MAIL)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
