#[steadfast::timeout(10s)]
#[steadfast::circuit_breaker(name = "payments", failure_threshold = 3, hung_cal = 2s)]
async fn charge() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
