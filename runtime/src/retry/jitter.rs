use std::{fmt, time::Duration};

use crate::checked::{Checked, InvalidSetting, valid};

/// The random part of a delay, which spreads out the retries of callers that failed at the same time.
///
/// The `max` of the [`Schedule`](crate::Schedule) applies after jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(Kind);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Full,
    Equal,
    /// The share is in `0.0..=1.0`.
    Proportional(f64),
    None,
}

/// Equality is reflexive, since no share is NaN.
impl Eq for Jitter {}

impl Jitter {
    /// A random delay between zero and the computed delay. This is the default, since it needs the fewest calls of all jitters until every
    /// caller has succeeded, as measured by Marc Brooker in
    /// [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    #[must_use]
    pub const fn full() -> Self {
        Self(Kind::Full)
    }

    /// A random delay between half of the computed delay and all of it.
    #[must_use]
    pub const fn equal() -> Self {
        Self(Kind::Equal)
    }

    /// The computed delay plus a random part of up to `share` of it: `0.1` adds up to 10 %.
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
            return Err(InvalidSetting::new("the share of `proportional` must be in 0.0..=1.0"));
        }
        Ok(Self(Kind::Proportional(share)))
    }

    /// No jitter: each delay is exactly the computed one.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// Applies the jitter to a delay; the result is at most `max`. `random(n)` returns a number in `0..=n`.
    pub(super) fn apply(self, delay: Duration, max: Duration, random: impl Fn(u64) -> u64) -> Duration {
        match self.0 {
            Kind::Full => random_between(Duration::ZERO, delay, random),
            Kind::Equal => random_between(delay / 2, delay, random),
            Kind::Proportional(share) => {
                let longest_extra = Duration::try_from_secs_f64(delay.as_secs_f64() * share).unwrap_or(delay);
                random_between(delay, delay.saturating_add(longest_extra).min(max), random)
            }
            Kind::None => delay,
        }
    }
}

/// Returns a random duration in `low..=high`.
pub(super) fn random_between(low: Duration, high: Duration, random: impl Fn(u64) -> u64) -> Duration {
    let width = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
    low.saturating_add(Duration::from_nanos(random(width)))
}

/// Formats the jitter as the attribute's option: `full`, `proportional(0.1)`.
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
