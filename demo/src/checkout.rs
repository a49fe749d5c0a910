//! Three versions of the checkout: with a timeout only, with retries, and with retries, a circuit breaker and a fallback.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use steadfast::{CircuitBreaker, Transient, circuit_breaker, retry};

use crate::payments::{Order, PaymentError, Payments, Receipt};

/// Lane 1: one attempt with a long timeout.
async fn naive(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// Lane 2: four attempts with a short timeout.
#[retry(max_attempts = 4, backoff = exponential(base = 50ms, max = 1s), jitter = full)]
async fn retrying(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// Lane 3: the same attempts through a circuit breaker. A declined order does not count as a failure of the service.
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

/// The fallback of lane 3: the order is accepted and charged later.
async fn guarded_or_queued(payments: &Payments, order: Order) -> Result<Outcome, PaymentError> {
    match guarded(payments, order).await {
        Ok(Receipt) => Ok(Outcome::Answered),
        Err(declined @ PaymentError::Declined(_)) => Err(declined),
        // A real shop would write the order to a durable queue and charge it once the breaker has closed.
        Err(_) => Ok(Outcome::Queued),
    }
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
    pub(crate) const ALL: [Self; 3] = [Self::Naive, Self::Retry, Self::Guarded];

    pub(crate) async fn check_out(self, payments: &Payments, order: Order) -> Outcome {
        let outcome = match self {
            Self::Naive => naive(payments, order).await.map(|Receipt| Outcome::Answered),
            Self::Retry => retrying(payments, order).await.map(|Receipt| Outcome::Answered),
            Self::Guarded => guarded_or_queued(payments, order).await,
        };
        outcome.unwrap_or(Outcome::Failed)
    }

    /// Returns the timeout of one attempt. The naive lane has a single attempt, so it gets a longer one.
    pub(crate) fn timeout(self, naive: Duration) -> Duration {
        match self {
            Self::Naive => naive,
            Self::Retry | Self::Guarded => ATTEMPT_TIMEOUT,
        }
    }

    /// Returns the lane's circuit breaker, if it has one.
    pub(crate) fn breaker(self) -> Option<&'static CircuitBreaker> {
        match self {
            Self::Guarded => steadfast::breaker("payments"),
            Self::Naive | Self::Retry => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Retry => "retry",
            Self::Guarded => "guarded",
        }
    }
}
