use steadfast::circuit_breaker;

#[derive(Debug)]
enum PaymentError {
    Declined,
}

#[circuit_breaker(name = "payments")]
async fn charge() -> Result<(), PaymentError> {
    Err(PaymentError::Declined)
}

fn main() {}
