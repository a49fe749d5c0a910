use steadfast::{RateLimit, RateLimitConfig, rate_limit};

static MAIL: RateLimit = RateLimit::new("mail", RateLimitConfig::new(5, std::time::Duration::from_secs(1)));

#[rate_limit(name = "mail", rate_limit = MAIL)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
