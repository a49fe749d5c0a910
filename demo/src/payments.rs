//! The shop's HTTP client of the payment service, and its errors.

use std::error::Error;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use steadfast::{CircuitOpen, Transient};

/// An order of a customer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) number: u32,
}

/// The confirmation that an order was charged.
#[derive(Debug)]
pub(crate) struct Receipt;

/// The reason why an order was not charged.
#[derive(Debug, thiserror::Error, Transient)]
pub(crate) enum PaymentError {
    #[error("timed out")]
    #[transient]
    Timeout,
    #[error("the service answered {0}")]
    #[transient]
    Unavailable(StatusCode),
    #[error("rate limited, retry after {after:?}")]
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

/// A client of the payment service with a connection pool.
#[derive(Debug)]
pub(crate) struct Payments {
    http: reqwest::Client,
    charges: String,
    refused: AtomicUsize,
}

impl Payments {
    /// Creates a client whose attempts take at most `timeout`, if there is one.
    pub(crate) fn new(service: SocketAddr, timeout: Option<Duration>) -> reqwest::Result<Self> {
        // A proxy from the environment cannot reach this machine's loopback interface.
        let http = reqwest::Client::builder().no_proxy();
        let http = timeout.into_iter().fold(http, reqwest::ClientBuilder::timeout).build()?;
        Ok(Self { http, charges: format!("http://{service}/charges"), refused: AtomicUsize::new(0) })
    }

    /// Makes one attempt to charge `order`.
    pub(crate) async fn charge(&self, order: Order) -> Result<Receipt, PaymentError> {
        // The key makes retries safe: after a timeout, the order may or may not have been charged.
        let request = self.http.post(&self.charges).header("Idempotency-Key", order.number);
        let response = request.send().await.map_err(|error| self.request_error(error))?;
        match response.status() {
            status if status.is_success() => Ok(Receipt),
            StatusCode::TOO_MANY_REQUESTS => Err(PaymentError::RateLimited { after: retry_after(&response) }),
            status if status.is_server_error() => Err(PaymentError::Unavailable(status)),
            status => Err(PaymentError::Declined(status)),
        }
    }

    /// Returns the number of refused connections. They do not reach the service, so only the client can count them.
    pub(crate) fn refused(&self) -> usize {
        // ORDERING: Relaxed: a plain count; no other memory depends on it.
        self.refused.load(Ordering::Relaxed)
    }

    fn request_error(&self, error: reqwest::Error) -> PaymentError {
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
