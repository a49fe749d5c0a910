use std::{fmt, time::Duration};

use super::{
    backoff::{Backoff, RetryContext},
    jitter::{Jitter, random_between},
};
use crate::{
    by_address::ByAddress,
    checked::{Checked, InvalidSetting, valid},
};

/// The delays between attempts, before jitter.
///
/// Delays below 20 days are exact to the nanosecond. A delay with a `max` never exceeds it, and no retry number causes an overflow.
///
/// In a `const` or `static`, an invalid value is a compile error; at run time, it is a panic.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{RetryPolicy, Schedule};
///
/// static POLICY: RetryPolicy = RetryPolicy::new()
///     .max_attempts(5)
///     .backoff(Schedule::linear(Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(10)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule(Kind);

/// Equality is reflexive, since no factor is NaN.
impl Eq for Schedule {}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    None,
    Fixed {
        delay: Duration,
    },
    /// The factor is finite and at least 1.
    Exponential {
        base: Duration,
        factor: f64,
        max: Duration,
    },
    Linear {
        base: Duration,
        step: Duration,
        max: Duration,
    },
    Fibonacci {
        base: Duration,
        max: Duration,
    },
    Decorrelated {
        base: Duration,
        max: Duration,
    },
    Custom(ByAddress<dyn Backoff>),
}

impl Schedule {
    /// Exponential delays: `base`, `base * factor`, `base * factor²`, and so on up to `max`.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`, or `factor` is below 1 or not finite. In a `const` or `static` that is a compile
    /// error.
    #[must_use]
    pub const fn exponential(base: Duration, factor: f64, max: Duration) -> Self {
        valid!(Self::try_exponential(base, factor, max))
    }

    /// Like [`exponential`](Self::exponential), for values from outside of the program.
    ///
    /// # Errors
    ///
    /// If `max` is below `base`, or `factor` is below 1 or not finite.
    pub const fn try_exponential(base: Duration, factor: f64, max: Duration) -> Result<Self, InvalidSetting> {
        if !(factor >= 1.0 && factor < f64::INFINITY) {
            return Err(InvalidSetting::new("`factor` must be a finite number of at least 1"));
        }
        checked_order(base, max, Kind::Exponential { base, factor, max })
    }

    /// A constant delay.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self(Kind::Fixed { delay })
    }

    /// Linear delays: `base`, `base + step`, `base + 2 * step`, and so on up to `max`.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn linear(base: Duration, step: Duration, max: Duration) -> Self {
        valid!(Self::try_linear(base, step, max))
    }

    /// Like [`linear`](Self::linear), for values from outside of the program.
    ///
    /// # Errors
    ///
    /// If `max` is below `base`.
    pub const fn try_linear(base: Duration, step: Duration, max: Duration) -> Result<Self, InvalidSetting> {
        checked_order(base, max, Kind::Linear { base, step, max })
    }

    /// Fibonacci delays: `base` times 1, 1, 2, 3, 5, 8, and so on up to `max`.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn fibonacci(base: Duration, max: Duration) -> Self {
        valid!(Self::try_fibonacci(base, max))
    }

    /// Like [`fibonacci`](Self::fibonacci), for values from outside of the program.
    ///
    /// # Errors
    ///
    /// If `max` is below `base`.
    pub const fn try_fibonacci(base: Duration, max: Duration) -> Result<Self, InvalidSetting> {
        checked_order(base, max, Kind::Fibonacci { base, max })
    }

    /// Random delays between `base` and three times the previous delay, up to `max`: "decorrelated jitter" as described by Marc Brooker
    /// in [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    /// The policy's [`Jitter`] is not applied, since these delays are random already.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn decorrelated(base: Duration, max: Duration) -> Self {
        valid!(Self::try_decorrelated(base, max))
    }

    /// Like [`decorrelated`](Self::decorrelated), for values from outside of the program.
    ///
    /// # Errors
    ///
    /// If `max` is below `base`.
    pub const fn try_decorrelated(base: Duration, max: Duration) -> Result<Self, InvalidSetting> {
        checked_order(base, max, Kind::Decorrelated { base, max })
    }

    /// No delay, for failures that an immediate second call may avoid, such as a lost race. An overloaded service needs a delay.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// Returns true if jitter has no effect: there is no delay, or it is random already.
    #[cfg(feature = "config")]
    pub(crate) const fn ignores_jitter(&self) -> bool {
        matches!(self.0, Kind::None | Kind::Decorrelated { .. })
    }

    /// Delays computed by a [`Backoff`].
    #[must_use]
    pub const fn custom(backoff: &'static dyn Backoff) -> Self {
        Self(Kind::Custom(ByAddress(backoff)))
    }

    /// Returns true if the backoff is a [`Backoff`] of the user.
    pub(super) const fn is_custom(&self) -> bool {
        matches!(self.0, Kind::Custom(_))
    }

    /// Returns true if the delay may depend on the time since the first attempt began.
    pub(super) const fn needs_elapsed(&self) -> bool {
        matches!(self.0, Kind::Custom(_))
    }

    /// Returns true if the delay may depend on the previous delay.
    pub(super) const fn needs_previous(&self) -> bool {
        matches!(self.0, Kind::Decorrelated { .. } | Kind::Custom(_))
    }

    /// Returns the delay before a retry. A hint takes the place of the computed delay; a custom backoff computes its delay from the hint.
    /// `longest` limits the random part that is added to a hint.
    #[inline]
    pub(super) fn delay(
        &self,
        retry: &RetryContext<'_>,
        jitter: Jitter,
        longest: Duration,
        random: impl Fn(u64) -> u64,
    ) -> Duration {
        match (&self.0, retry.hint) {
            (Kind::Custom(ByAddress(backoff)), Some(_)) => backoff.delay(retry),
            (_, Some(hint)) => {
                let delay = self.delay_with_jitter(retry, Jitter::none(), &random);
                jitter.apply_to_hint(hint, delay, longest, random)
            }
            (Kind::None, None) => Duration::ZERO,
            (_, None) => self.delay_with_jitter(retry, jitter, random),
        }
    }

    /// Returns false if a custom backoff ends the retry.
    pub(super) fn should_retry(&self, retry: &RetryContext<'_>) -> bool {
        match &self.0 {
            Kind::Custom(ByAddress(backoff)) => backoff.should_retry(retry),
            _ => true,
        }
    }

    #[inline(never)]
    fn delay_with_jitter(&self, retry: &RetryContext<'_>, jitter: Jitter, random: impl Fn(u64) -> u64) -> Duration {
        let RetryContext { attempt: number, previous, .. } = *retry;
        let (delay, max) = match self.0 {
            Kind::None => return Duration::ZERO,
            Kind::Fixed { delay } => (delay, Duration::MAX),
            Kind::Exponential { base, factor, max } => (exponential(base, factor, number, max), max),
            Kind::Linear { base, step, max } => (base.saturating_add(step.saturating_mul(number - 1)).min(max), max),
            Kind::Fibonacci { base, max } => (base.saturating_mul(fibonacci(number)).min(max), max),
            Kind::Decorrelated { base, max } => {
                let highest = previous.unwrap_or(base).max(base).saturating_mul(3).min(max);
                return random_between(base, highest, random);
            }
            Kind::Custom(ByAddress(backoff)) => (backoff.delay(retry), Duration::MAX),
        };
        jitter.apply(delay, max, random)
    }
}

/// Formats the schedule as the attribute's option: `exponential(base = 100ms, factor = 2, max = 30s)`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::None => f.write_str("none"),
            Kind::Fixed { delay } => write!(f, "fixed({delay:?})"),
            Kind::Exponential { base, factor, max } => {
                write!(f, "exponential(base = {base:?}, factor = {factor}, max = {max:?})")
            }
            Kind::Linear { base, step, max } => write!(f, "linear(base = {base:?}, step = {step:?}, max = {max:?})"),
            Kind::Fibonacci { base, max } => write!(f, "fibonacci(base = {base:?}, max = {max:?})"),
            Kind::Decorrelated { base, max } => write!(f, "decorrelated(base = {base:?}, max = {max:?})"),
            Kind::Custom(_) => f.write_str("custom"),
        }
    }
}

/// Checks that `max` is not below `base`.
const fn checked_order(base: Duration, max: Duration, kind: Kind) -> Checked<Schedule> {
    if max.as_nanos() < base.as_nanos() {
        return Err(InvalidSetting::new("`max` must not be below `base`"));
    }
    Ok(Schedule(kind))
}

fn exponential(base: Duration, factor: f64, retry: u32, max: Duration) -> Duration {
    if base.is_zero() {
        return Duration::ZERO; // 0 times infinity is NaN
    }
    let exponent = i32::try_from(retry - 1).unwrap_or(i32::MAX);
    Duration::try_from_secs_f64(base.as_secs_f64() * factor.powi(exponent)).map_or(max, |delay| delay.min(max))
}

/// Returns the `n`th of 1, 1, 2, 3, 5, 8, ..., counted from 1; `u32::MAX` from the 48th on.
fn fibonacci(n: u32) -> u32 {
    let (mut current, mut next) = (1_u32, 1_u32);
    for _ in 1..n.min(48) {
        (current, next) = (next, current.saturating_add(next));
    }
    current
}
