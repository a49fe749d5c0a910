use std::{fmt, time::Duration};

use super::schedule::between;
use crate::checked::{Checked, valid};

/// What is random about a delay, so that callers that failed together do not come back together.
///
/// The schedule's `max` holds after jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(Kind);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Full,
    Equal,
    Proportional(f64),
    None,
}

impl Jitter {
    /// Anything from nothing to the whole delay. The default: of all the ways to spread callers it needs the fewest
    /// calls to get everyone through, as Marc Brooker measures in
    /// [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    #[must_use]
    pub const fn full() -> Self {
        Self(Kind::Full)
    }

    /// Anything from half of the delay to the whole.
    #[must_use]
    pub const fn equal() -> Self {
        Self(Kind::Equal)
    }

    /// The delay and up to `share` of it more, as in `0.1` for up to 10 %.
    ///
    /// # Panics
    ///
    /// If `share` is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn proportional(share: f64) -> Self {
        valid!(Self::try_proportional(share))
    }

    pub(crate) const fn try_proportional(share: f64) -> Checked<Self> {
        if !(share >= 0.0 && share <= 1.0) {
            return Err("the share of `proportional` must be in 0.0..=1.0");
        }
        Ok(Self(Kind::Proportional(share)))
    }

    /// Nothing: every delay is as computed.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// The delay as it is slept, at most `max`. `random(n)` is a number in `0..=n`.
    pub(super) fn apply(self, delay: Duration, max: Duration, random: impl Fn(u64) -> u64) -> Duration {
        match self.0 {
            Kind::Full => between(Duration::ZERO, delay, random),
            Kind::Equal => between(delay / 2, delay, random),
            Kind::Proportional(share) => {
                let most = Duration::try_from_secs_f64(delay.as_secs_f64() * share).unwrap_or(delay);
                between(delay, delay.saturating_add(most).min(max), random)
            }
            Kind::None => delay,
        }
    }
}

/// The jitter in the words of the attribute: `full`, `proportional(0.1)`.
impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Full => f.write_str("full"),
            Kind::Equal => f.write_str("equal"),
            Kind::Proportional(share) => write!(f, "proportional({share})"),
            Kind::None => f.write_str("none"),
        }
    }
}
