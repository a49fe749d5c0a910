use steadfast::{bulkhead, circuit_breaker, rate_limit, timeout};

#[derive(Debug)]
enum PaymentError {
    Declined,
}

#[timeout(2s)]
#[circuit_breaker(name = "payments", hung_call = 1s)]
#[rate_limit(name = "payments", limit = 1, per = 1s)]
#[bulkhead(name = "payments", max_concurrent = 1)]
async fn charge() -> Result<(), PaymentError> {
    Err(PaymentError::Declined)
}

fn main() {}
