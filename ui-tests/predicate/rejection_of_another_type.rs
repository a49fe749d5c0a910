use steadfast::{CircuitOpen, circuit_breaker, rate_limit};

struct Status(u16);

impl Status {
    fn unavailable(_: CircuitOpen) -> u16 {
        503
    }
}

#[circuit_breaker(name = "payments", rejection = |open| open.retry_after())]
fn charge() -> Result<(), String> {
    Ok(())
}

#[circuit_breaker(name = "payments", rejection = Status::unavailable)]
fn refund() -> Result<(), Status> {
    Ok(())
}

#[circuit_breaker(name = "payments", rejection = Status)]
fn cancel() -> Result<(), Status> {
    Ok(())
}

#[rate_limit(name = "payments", limit = 1, per = 1s, rejection = |_| "limited")]
fn status() -> Status {
    Status(200)
}

fn main() {}
