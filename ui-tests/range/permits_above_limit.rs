use steadfast::{bulkhead, rate_limit};

#[rate_limit(name = "mail", limit = 5, per = 1s, permits = 6)]
fn send() -> std::io::Result<()> {
    Ok(())
}

#[rate_limit(name = "bursts", limit = 5, per = 1s, algorithm = gcra, burst = 3, permits = 4)]
fn send_in_bursts() -> std::io::Result<()> {
    Ok(())
}

#[bulkhead(name = "mail", max_concurrent = 5, permits = 6)]
fn send_at_once() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
