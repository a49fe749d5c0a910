use std::time::Duration;

use super::Verdict;

/// The result of an attempt at the layers between a retry and the function.
#[derive(Clone, Copy, Debug)]
pub enum Disposition {
    /// The function was called.
    Called,
    /// The function was called, and its outcome opened the circuit for this long.
    CalledAndOpened(Duration),
    /// The function was called, and a timeout ended the call.
    TimedOut,
    /// A breaker rejected the call. It may admit one after this long, if that is known.
    CircuitRejected(Option<Duration>),
    /// A rate limit or a bulkhead rejected the call. A breaker above counts neither a success nor a failure.
    LimitRejected,
}

impl Disposition {
    /// Returns true if the function was called.
    #[inline]
    #[must_use]
    pub const fn is_called(self) -> bool {
        matches!(self, Self::Called | Self::CalledAndOpened(_) | Self::TimedOut)
    }

    /// Combines the dispositions of two layers; `self` is that of the inner one.
    #[must_use]
    pub const fn or(self, outer: Self) -> Self {
        match (self, outer) {
            (Self::Called, outer) | (Self::TimedOut, outer @ Self::CalledAndOpened(_)) => outer,
            (inner, _) => inner,
        }
    }

    /// Corrects the verdict on an outcome, which does not consider the disposition: a final error or a success of a call that a limit rejected
    /// is a rejection.
    #[must_use]
    pub const fn adjust(self, verdict: Verdict) -> Verdict {
        match (verdict, self) {
            (Verdict::Final | Verdict::Success, Self::LimitRejected) => Verdict::Rejected,
            (verdict, _) => verdict,
        }
    }

    /// Returns true if an attempt after `delay` may reach the function. If the circuit is still open then, the attempt is rejected, and the
    /// delay is useless.
    #[must_use]
    pub fn can_admit_after(self, delay: Duration) -> bool {
        is_worth_waiting(delay, self.open_for())
    }

    /// Returns the time for which the circuit is open, if this call opened it.
    pub(crate) const fn open_for(self) -> Option<Duration> {
        match self {
            Self::CalledAndOpened(open_for) => Some(open_for),
            Self::Called | Self::TimedOut | Self::CircuitRejected(_) | Self::LimitRejected => None,
        }
    }
}

/// Returns true if a circuit that is open for `open_for` may admit a call after `delay`; always true if it is not open.
pub(crate) fn is_worth_waiting(delay: Duration, open_for: Option<Duration>) -> bool {
    open_for.is_none_or(|open_for| open_for <= delay)
}
