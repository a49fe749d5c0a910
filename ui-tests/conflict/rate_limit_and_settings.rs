use steadfast::{RateLimit, RateLimitConfig, rate_limit};

static MAIL: RateLimit = RateLimit::new("mail", RateLimitConfig::new(5, std::time::Duration::from_secs(1)));

#[rate_limit(rate_limit = MAIL, limit = 5, per = 1s)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
