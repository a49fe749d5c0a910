//! What the end of an attempt means to a retry, and to the layers between the two.

use std::time::Duration;

/// What the outcome of an attempt means to a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is left to do.
    Success,
    /// A failure that another attempt would not change.
    Final,
    /// A rejection or another error for which the retry asks by its type: as transient.
    Wanted {
        /// What the rejection asks for.
        retry_after: Option<Duration>,
    },
    /// There was no call: a breaker, a rate limit or a bulkhead has rejected it, and that is to be the end.
    Rejected,
    /// Another attempt may succeed: after this long if it is known, else as the policy has it.
    Transient {
        /// What the error asks for.
        retry_after: Option<Duration>,
    },
}

impl Verdict {
    /// An attempt that a breaker inside the retry has rejected.
    #[must_use]
    pub const fn rejected(retry_after: Option<Duration>, wanted: bool) -> Self {
        match retry_after {
            Some(_) if wanted => Self::Wanted { retry_after },
            // Not asked for; or forced open by an operator, and nobody knows for how long.
            _ => Self::Rejected,
        }
    }

    /// Another attempt may succeed if `transient`.
    #[must_use]
    pub const fn transient_if(transient: bool) -> Self {
        if transient { Self::Transient { retry_after: None } } else { Self::Final }
    }
}

/// How an attempt fared at the breaker inside the retry.
#[derive(Clone, Copy, Debug)]
pub enum Disposition {
    /// The call was made.
    Called,
    /// The call was made, and the circuit is open now, for this long.
    CalledAndOpened(Duration),
    /// There was no call. One may be admitted after this long, if that is known.
    CircuitRejected(Option<Duration>),
    /// There was no call: a rate limit or a bulkhead inside has refused it. A breaker counts that as neither.
    LimitRejected,
}

impl Disposition {
    /// Returns true if the call was made.
    pub(super) const fn is_called(self) -> bool {
        matches!(self, Self::Called | Self::CalledAndOpened(_))
    }

    /// How it fared at two breakers, this one being the inner.
    #[must_use]
    pub const fn or(self, outer: Self) -> Self {
        match self {
            Self::Called => outer,
            inner => inner,
        }
    }

    /// What the outcome means, which by itself means this. A success is looked at no further.
    #[must_use]
    pub const fn judge(self, verdict: Verdict) -> Verdict {
        match (verdict, self) {
            (Verdict::Final, Self::LimitRejected) => Verdict::Rejected,
            (verdict, _) => verdict,
        }
    }

    /// The same where the whole value was judged: what was refused is no value to be content with.
    #[must_use]
    pub const fn judge_value(self, verdict: Verdict) -> Verdict {
        match (verdict, self) {
            (Verdict::Success, Self::LimitRejected) => Verdict::Rejected,
            (verdict, _) => verdict,
        }
    }

    /// Whether there is an attempt to wait for. If the circuit will still be open after the delay, the rejection may as well
    /// come at once.
    #[must_use]
    pub fn is_worth(self, delay: Duration) -> bool {
        is_worth(delay, self.left_open())
    }

    /// How long the circuit is open, if this call has opened it.
    pub(super) const fn left_open(self) -> Option<Duration> {
        match self {
            Self::CalledAndOpened(left) => Some(left),
            Self::Called | Self::CircuitRejected(_) | Self::LimitRejected => None,
        }
    }
}

/// Whether there is an attempt to wait for after this delay, where the circuit is open for so long.
pub(super) fn is_worth(delay: Duration, left_open: Option<Duration>) -> bool {
    left_open.is_none_or(|left| left <= delay)
}
