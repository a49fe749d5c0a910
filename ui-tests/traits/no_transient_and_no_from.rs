use steadfast::{circuit_breaker, retry};

#[derive(Debug)]
enum PaymentError {
    Declined,
}

#[retry]
#[circuit_breaker(name = "payments")]
fn charge() -> Result<(), PaymentError> {
    Err(PaymentError::Declined)
}

fn main() {}
