use steadfast::retry;

#[derive(Debug)]
enum PaymentError {
    Declined,
}

#[retry]
async fn charge() -> Result<(), PaymentError> {
    Err(PaymentError::Declined)
}

fn main() {}
