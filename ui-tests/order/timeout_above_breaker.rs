use std::io;
#[steadfast::timeout(10s)]
#[steadfast::retry]
#[steadfast::circuit_breaker(name = "payments", failure_threshold = 3)]
async fn charge() -> io::Result<()> {
    Ok(())
}

const LIMIT: std::time::Duration = std::time::Duration::from_secs(3);

#[steadfast::timeout(LIMIT)]
#[steadfast::circuit_breaker(name = "refunds", failure_threshold = 3)]
async fn refund() -> io::Result<()> {
    Ok(())
}

fn main() {}
