//! The shop's client of the payment service: one HTTP request per attempt, and what can become of it.

use std::error::Error;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use steadfast::{CircuitOpen, Transient};

/// What a customer buys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) number: u32,
}

/// The service's word that an order is paid.
#[derive(Debug)]
pub(crate) struct Receipt;

/// Why an order was not charged.
#[derive(Debug, thiserror::Error, Transient)]
pub(crate) enum PaymentError {
    #[error("timed out")]
    #[transient]
    Timeout,
    #[error("the service answered {0}")]
    #[transient]
    Unavailable(StatusCode),
    #[error("asked to wait {after:?}")]
    #[transient(retry_after = after)]
    RateLimited { after: Duration },
    #[error("no connection: {0}")]
    #[transient]
    Connection(#[source] reqwest::Error),
    #[error("declined: {0}")]
    Declined(StatusCode), // permanent: no attribute
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

/// A connection pool to the payment service.
#[derive(Debug)]
pub(crate) struct Payments {
    http: reqwest::Client,
    charges: String,
    refused: AtomicUsize,
}

impl Payments {
    /// A client that waits for `time_out` at most in each attempt.
    pub(crate) fn new(service: SocketAddr, time_out: Duration) -> reqwest::Result<Self> {
        // A proxy in the environment would not find our loopback.
        let http = reqwest::Client::builder().timeout(time_out).no_proxy().build()?;
        Ok(Self { http, charges: format!("http://{service}/charges"), refused: AtomicUsize::new(0) })
    }

    /// Makes one attempt to charge `order`.
    pub(crate) async fn charge(&self, order: Order) -> Result<Receipt, PaymentError> {
        // The key is what makes another attempt safe: after a time-out nobody knows whether the first one was charged.
        let request = self.http.post(&self.charges).header("Idempotency-Key", order.number);
        let response = request.send().await.map_err(|error| self.no_answer(error))?;
        match response.status() {
            status if status.is_success() => Ok(Receipt),
            StatusCode::TOO_MANY_REQUESTS => Err(PaymentError::RateLimited { after: retry_after(&response) }),
            status if status.is_server_error() => Err(PaymentError::Unavailable(status)),
            status => Err(PaymentError::Declined(status)),
        }
    }

    /// How many connections were refused. Such an attempt never reaches the service, so only its client can count it.
    pub(crate) fn refused(&self) -> usize {
        // ORDERING: Relaxed: a count that nothing else is inferred from.
        self.refused.load(Ordering::Relaxed)
    }

    fn no_answer(&self, error: reqwest::Error) -> PaymentError {
        if error.is_timeout() {
            return PaymentError::Timeout;
        }
        if is_refusal(&error) {
            // ORDERING: Relaxed, as above.
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        PaymentError::Connection(error)
    }
}

fn is_refusal(error: &reqwest::Error) -> bool {
    let error: &dyn Error = error;
    iter::successors(Some(error), |cause| (*cause).source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}
