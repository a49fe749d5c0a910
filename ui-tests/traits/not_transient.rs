use steadfast::retry;

#[derive(Debug)]
enum PaymentError {
    Declined,
}

#[retry]
fn charge() -> Result<(), PaymentError> {
    Err(PaymentError::Declined)
}

fn main() {}
