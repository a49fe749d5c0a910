use std::{cell::Cell, io, time::Duration};
use steadfast::{CircuitOpen, Transient, circuit_breaker, retry};

#[derive(Debug, thiserror::Error, Transient, PartialEq)]
enum PaymentError {
    #[error("timed out")]
    #[transient]
    Timeout,
    #[error("asked to wait {after:?}")]
    #[transient(retry_after = after)]
    RateLimited { after: Duration },
    #[error("card declined")]
    Declined,
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

#[retry(max_attempts = 5, backoff = none)]
fn plain(calls: &Cell<u32>) -> Result<u32, PaymentError> {
    calls.set(calls.get() + 1);
    if calls.get() < 3 {
        Err(PaymentError::Timeout)?
    }
    Ok(calls.get())
}

#[retry(max_attempts = 5, backoff = exponential(base = 100ms, max = 10s), jitter = full)]
#[circuit_breaker(name = "payments", failure_threshold = 3, recovery_timeout = 60s)]
async fn charge(calls: &Cell<u32>) -> Result<u32, PaymentError> {
    calls.set(calls.get() + 1);
    Err(PaymentError::Timeout)
}

#[test]
fn sync_retry() {
    let calls = Cell::new(0);
    assert_eq!(plain(&calls), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn stack() {
    let calls = Cell::new(0);
    let breaker = steadfast::breaker("payments").unwrap();
    let e = charge(&calls).await.unwrap_err();
    assert!(matches!(e, PaymentError::Open(_)), "{e:?}");
    assert_eq!(calls.get(), 3);
    assert_eq!(breaker.state().to_string(), "open");
    println!("{}", breaker.snapshot());
    let e = charge(&calls).await.unwrap_err();
    println!("{e}");
    assert_eq!(calls.get(), 3);
}
