use std::time::Duration;

/// The meaning of an outcome for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call succeeded.
    Success,
    /// The call failed, and another attempt would fail as well.
    Final,
    /// The call was rejected, and the retry is configured to retry rejections.
    RetriedRejection {
        /// The delay that the rejection asks for.
        retry_after: Option<Duration>,
    },
    /// A breaker, a rate limit or a bulkhead rejected the call, and that ends the retry.
    Rejected,
    /// The call failed, and another attempt may succeed.
    Transient {
        /// The delay that the error asks for; `None` leaves it to the policy.
        retry_after: Option<Duration>,
    },
}

impl Verdict {
    /// Returns the verdict on a rejection by a breaker; `retries_rejections` is true if the retry is configured to retry them.
    #[must_use]
    pub const fn rejected(retry_after: Option<Duration>, retries_rejections: bool) -> Self {
        match retry_after {
            Some(_) if retries_rejections => Self::RetriedRejection { retry_after },
            // Rejections are not retried, or an operator forced the circuit open for an unknown time.
            _ => Self::Rejected,
        }
    }

    /// Returns the verdict for a call that is retried only if `is_enabled`: otherwise each failure ends it.
    #[must_use]
    pub const fn retried_if(self, is_enabled: bool) -> Self {
        match self {
            Self::Transient { .. } if !is_enabled => Self::Final,
            Self::RetriedRejection { .. } if !is_enabled => Self::Rejected,
            verdict => verdict,
        }
    }

    /// Returns `Transient` if `transient` is true, else `Final`.
    #[must_use]
    pub const fn transient_if(transient: bool) -> Self {
        if transient { Self::Transient { retry_after: None } } else { Self::Final }
    }
}
