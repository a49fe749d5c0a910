use steadfast::{BreakerConfig, CircuitBreaker, rate_limit};

static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());

#[rate_limit(rate_limit = MAIL)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
