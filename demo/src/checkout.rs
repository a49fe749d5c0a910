//! The versions of the checkout, from a timeout only to retries, a circuit breaker and a fallback.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use steadfast::{CircuitBreaker, Transient, circuit_breaker, retry};

use crate::payments::{Order, PaymentError, Payments, Receipt};

/// One attempt with a long timeout.
async fn naive(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// Four attempts with a short timeout.
#[retry(max_attempts = 4, backoff = exponential(base = 50ms, max = 1s), jitter = full)]
async fn retrying(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// The same attempts through a circuit breaker. A declined order does not count as a failure of the service.
#[retry(name = "charge", max_attempts = 4, backoff = exponential(base = 50ms, max = 1s), jitter = full)]
#[circuit_breaker(
    name = "payments",
    failure_threshold = 5,
    recovery_timeout = 2s,
    half_open_max_calls = 2,
    failure_if = Transient::is_transient,
)]
async fn guarded(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// The time in flight after which a call of [`without_timeout`] counts as a failure.
pub(crate) const HUNG_CALL: Duration = Duration::from_secs(5);

/// One attempt without a timeout. The circuit opens while the first calls are still in flight.
#[circuit_breaker(name = "payments-hung-call", recovery_timeout = 2s, hung_call = HUNG_CALL)]
async fn without_timeout(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// One attempt without a timeout and without an option for callers who give up: the default rule for cancelled calls applies.
#[circuit_breaker(name = "payments-default", recovery_timeout = 2s)]
async fn with_default_rule(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// One attempt without a timeout. A call whose caller gives up after 200 ms counts as a failure.
#[circuit_breaker(name = "payments-cancelled-call", recovery_timeout = 2s, cancelled_call = 200ms)]
async fn with_cancelled_call(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// The fallback: the order is accepted and charged later.
fn or_queued(result: &Result<Receipt, PaymentError>) -> Outcome {
    match result {
        Ok(Receipt) => Outcome::Answered,
        Err(PaymentError::Declined(_)) => Outcome::Failed,
        // A real shop would write the order to a durable queue and charge it once the breaker has closed.
        Err(_) => Outcome::Queued,
    }
}

fn or_failed(result: &Result<Receipt, PaymentError>) -> Outcome {
    if result.is_ok() { Outcome::Answered } else { Outcome::Failed }
}

/// A version of the checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// A timeout only
    Naive,
    /// `#[retry]` alone
    Retry,
    /// `#[retry]`, `#[circuit_breaker]` and a fallback
    Guarded,
    /// `#[circuit_breaker(hung_call = 5s)]` and a fallback, without any timeout
    #[value(name = "hung_call")]
    HungCall,
    /// `#[circuit_breaker]` and a fallback, without any timeout
    Breaker,
    /// `#[circuit_breaker(cancelled_call = 200ms)]` and a fallback, without any timeout
    #[value(name = "cancelled_call")]
    CancelledCall,
}

/// The outcome of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Charged.
    Answered,
    /// Accepted by the fallback, to be charged later.
    Queued,
    /// The customer saw an error.
    Failed,
}

/// The timeout of an attempt in the lanes that retry. A healthy service answers in 10 to 20 ms.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(150);

impl Lane {
    pub(crate) async fn check_out(self, payments: &Payments, order: Order) -> Outcome {
        match self {
            Self::Naive => or_failed(&naive(payments, order).await),
            Self::Retry => or_failed(&retrying(payments, order).await),
            Self::Guarded => or_queued(&guarded(payments, order).await),
            Self::HungCall => or_queued(&without_timeout(payments, order).await),
            Self::Breaker => or_queued(&with_default_rule(payments, order).await),
            Self::CancelledCall => or_queued(&with_cancelled_call(payments, order).await),
        }
    }

    /// Returns the timeout of one attempt. The naive lane has a single attempt, so it gets a longer one.
    pub(crate) fn timeout(self, naive: Duration) -> Option<Duration> {
        match self {
            Self::Naive => Some(naive),
            Self::Retry | Self::Guarded => Some(ATTEMPT_TIMEOUT),
            Self::HungCall | Self::Breaker | Self::CancelledCall => None,
        }
    }

    /// Returns the lane's circuit breaker, if it has one.
    pub(crate) fn breaker(self) -> Option<&'static CircuitBreaker> {
        match self {
            Self::Naive | Self::Retry => None,
            Self::Guarded => steadfast::breaker("payments"),
            Self::HungCall => steadfast::breaker("payments-hung-call"),
            Self::Breaker => steadfast::breaker("payments-default"),
            Self::CancelledCall => steadfast::breaker("payments-cancelled-call"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Retry => "retry",
            Self::Guarded => "guarded",
            Self::HungCall => "hung_call",
            Self::Breaker => "breaker",
            Self::CancelledCall => "cancelled_call",
        }
    }
}
