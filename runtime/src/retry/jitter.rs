use std::{fmt, time::Duration};

use crate::checked::{InvalidSetting, valid};

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
    /// The share is in `0.0..=1.0`.
    Symmetric(f64),
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

    /// Like [`proportional`](Self::proportional), for a share from outside of the program.
    ///
    /// # Errors
    ///
    /// If `share` is not in `0.0..=1.0`.
    pub const fn try_proportional(share: f64) -> Result<Self, InvalidSetting> {
        if !(share >= 0.0 && share <= 1.0) {
            return Err(InvalidSetting::new("the share of `proportional` must be in 0.0..=1.0"));
        }
        Ok(Self(Kind::Proportional(share)))
    }

    /// The computed delay, lengthened or shortened by a random part of up to `share` of it: `0.2` is up to 20 % more or less.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{Jitter, RetryPolicy, Schedule};
    ///
    /// // Each delay is between 0.8 s and 1.2 s.
    /// static POLICY: RetryPolicy =
    ///     RetryPolicy::new().backoff(Schedule::fixed(Duration::from_secs(1))).jitter(Jitter::symmetric(0.2));
    /// ```
    ///
    /// # Panics
    ///
    /// If `share` is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn symmetric(share: f64) -> Self {
        valid!(Self::try_symmetric(share))
    }

    /// Like [`symmetric`](Self::symmetric), for a share from outside of the program.
    ///
    /// # Errors
    ///
    /// If `share` is not in `0.0..=1.0`.
    pub const fn try_symmetric(share: f64) -> Result<Self, InvalidSetting> {
        if !(share >= 0.0 && share <= 1.0) {
            return Err(InvalidSetting::new("the share of `symmetric` must be in 0.0..=1.0"));
        }
        Ok(Self(Kind::Symmetric(share)))
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
                random_between(delay, delay.saturating_add(part(delay, share)).min(max), random)
            }
            Kind::Symmetric(share) => {
                let part = part(delay, share);
                random_between(delay.saturating_sub(part), delay.saturating_add(part).min(max), random)
            }
            Kind::None => delay,
        }
    }

    /// Returns the delay after an error with a hint, which takes the place of `delay`: at least the hint, and with jitter up to the longer of
    /// `delay` and the hint and a quarter, so that callers with the same hint do not return at the same time. The random part ends at
    /// `longest`.
    pub(super) fn apply_to_hint(
        self,
        hint: Duration,
        delay: Duration,
        longest: Duration,
        random: impl Fn(u64) -> u64,
    ) -> Duration {
        match self.0 {
            Kind::None => hint,
            _ => random_between(hint, hint.saturating_add(hint / 4).max(delay).min(longest), random),
        }
    }
}

/// Returns a share of a delay.
fn part(delay: Duration, share: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * share).unwrap_or(delay)
}

/// Returns a random duration in `low..=high`; `low` if it is above `high`.
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
            Kind::Symmetric(share) => write!(f, "symmetric({share})"),
            Kind::None => f.write_str("none"),
        }
    }
}
