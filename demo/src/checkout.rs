//! The checkout, three times: what a naive one does in an outage, what retries make of it, and what a breaker does.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use steadfast::{CircuitBreaker, Transient, circuit_breaker, retry};

use crate::payments::{Order, PaymentError, Payments, Receipt};

/// Lane 1: one try, and all the patience it has.
async fn naive(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// Lane 2: four quick tries.
#[retry(max_attempts = 4, backoff = exponential(base = 50ms, max = 1s), jitter = full)]
async fn retrying(payments: &Payments, order: Order) -> Result<Receipt, PaymentError> {
    payments.charge(order).await
}

/// Lane 3: the same tries, each through a circuit breaker. A declined order says nothing about the service.
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

/// Lane 3's fallback: the service is in trouble, the customer need not be.
async fn guarded_or_queued(payments: &Payments, order: Order) -> Result<Outcome, PaymentError> {
    match guarded(payments, order).await {
        Ok(Receipt) => Ok(Outcome::Answered),
        Err(declined @ PaymentError::Declined(_)) => Err(declined),
        // A real shop would write the order to a durable queue here, and charge it when the breaker has closed.
        Err(_) => Ok(Outcome::Queued),
    }
}

/// Which checkout takes the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// A time-out only.
    Naive,
    /// `#[retry]` alone.
    Retry,
    /// `#[retry]` + `#[circuit_breaker]` + a fallback.
    Guarded,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Charged.
    Answered,
    /// Taken, to be charged later: the fallback's answer.
    Queued,
    /// The customer saw an error.
    Failed,
}

/// How long an attempt may take that another one can follow; the service answers in 10 to 20 ms.
const ATTEMPT: Duration = Duration::from_millis(150);

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

    /// How long one attempt may take. With a single try it is all a naive checkout has, so it waits long.
    pub(crate) fn time_out(self, naive: Duration) -> Duration {
        match self {
            Self::Naive => naive,
            Self::Retry | Self::Guarded => ATTEMPT,
        }
    }

    /// The breaker that guards this lane.
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
