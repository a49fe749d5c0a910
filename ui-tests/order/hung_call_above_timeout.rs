use std::io;
#[steadfast::timeout(2s)]
#[steadfast::circuit_breaker(name = "payments", hung_call = 5s)]
async fn charge() -> io::Result<()> {
    Ok(())
}

#[steadfast::timeout(2s)]
#[steadfast::circuit_breaker(name = "refunds", cancelled_call = 2500ms)]
async fn refund() -> io::Result<()> {
    Ok(())
}

fn main() {}
