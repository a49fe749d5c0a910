use std::{fmt, time::Duration};

use super::{
    Jitter,
    backoff::{Backoff, Custom, RetryContext},
};
use crate::checked::{Checked, valid};

/// How the delay grows from one retry to the next.
///
/// Delays below 20 days are exact to the nanosecond. No retry number overflows: whatever it is, the delay lies in
/// `0..=max`.
///
/// Built in a `const` or `static`, where a value that makes no sense does not compile; at run time the same mistakes
/// panic.
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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    None,
    Fixed { delay: Duration },
    Exponential { base: Duration, factor: f64, max: Duration },
    Linear { base: Duration, step: Duration, max: Duration },
    Fibonacci { base: Duration, max: Duration },
    Decorrelated { base: Duration, max: Duration },
    Custom(Custom),
}

impl Schedule {
    /// `base`, `base * factor`, `base * factor²`, and so on up to `max`.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`, or `factor` is below 1 or not finite. In a `const` or `static` that is a compile
    /// error.
    #[must_use]
    pub const fn exponential(base: Duration, factor: f64, max: Duration) -> Self {
        valid!(Self::try_exponential(base, factor, max))
    }

    pub(crate) const fn try_exponential(base: Duration, factor: f64, max: Duration) -> Checked<Self> {
        if !(factor >= 1.0 && factor < f64::INFINITY) {
            return Err("`factor` must be a finite number of at least 1");
        }
        in_order(base, max, Kind::Exponential { base, factor, max })
    }

    /// The same delay each time.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self(Kind::Fixed { delay })
    }

    /// `base`, `base + step`, `base + 2 * step`, and so on up to `max`.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn linear(base: Duration, step: Duration, max: Duration) -> Self {
        valid!(Self::try_linear(base, step, max))
    }

    pub(crate) const fn try_linear(base: Duration, step: Duration, max: Duration) -> Checked<Self> {
        in_order(base, max, Kind::Linear { base, step, max })
    }

    /// `base` times 1, 1, 2, 3, 5, 8, and so on up to `max`.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn fibonacci(base: Duration, max: Duration) -> Self {
        valid!(Self::try_fibonacci(base, max))
    }

    pub(crate) const fn try_fibonacci(base: Duration, max: Duration) -> Checked<Self> {
        in_order(base, max, Kind::Fibonacci { base, max })
    }

    /// A random delay between `base` and three times the one before, up to `max`: "decorrelated jitter" as Marc Brooker
    /// describes it in [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    /// It has its randomness inside; a [`Jitter`] is not added to it.
    ///
    /// # Panics
    ///
    /// If `max` is below `base`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn decorrelated(base: Duration, max: Duration) -> Self {
        valid!(Self::try_decorrelated(base, max))
    }

    pub(crate) const fn try_decorrelated(base: Duration, max: Duration) -> Checked<Self> {
        in_order(base, max, Kind::Decorrelated { base, max })
    }

    /// No delay. For what a second call may heal at once, such as a lost race; an overloaded service needs another.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// Whether delays have no use for a jitter: there are none, or they are random by themselves.
    #[cfg(feature = "config")]
    pub(crate) const fn ignores_jitter(&self) -> bool {
        matches!(self.0, Kind::None | Kind::Decorrelated { .. })
    }

    /// What a [`Backoff`] of your own says.
    #[must_use]
    pub const fn custom(backoff: &'static dyn Backoff) -> Self {
        Self(Kind::Custom(Custom(backoff)))
    }

    /// Whether it wants to know how long ago the first attempt began.
    pub(super) const fn wants_elapsed(&self) -> bool {
        matches!(self.0, Kind::Custom(_))
    }

    /// The delay before a retry. A hint takes the place of whatever is computed.
    pub(super) fn delay(&self, retry: &RetryContext, jitter: Jitter, random: impl Fn(u64) -> u64) -> Duration {
        match (self.0, retry.hint) {
            (Kind::Custom(Custom(backoff)), Some(_)) => backoff.delay(retry),
            (_, Some(hint)) => hint,
            (_, None) => self.computed(retry, jitter, random),
        }
    }

    fn computed(&self, retry: &RetryContext, jitter: Jitter, random: impl Fn(u64) -> u64) -> Duration {
        let RetryContext { attempt: number, previous, .. } = *retry;
        let (delay, max) = match self.0 {
            Kind::None => return Duration::ZERO,
            Kind::Fixed { delay } => (delay, Duration::MAX),
            Kind::Exponential { base, factor, max } => (exponential(base, factor, number, max), max),
            Kind::Linear { base, step, max } => (base.saturating_add(step.saturating_mul(number - 1)).min(max), max),
            Kind::Fibonacci { base, max } => (base.saturating_mul(fibonacci(number)).min(max), max),
            Kind::Decorrelated { base, max } => {
                let highest = previous.unwrap_or(base).max(base).saturating_mul(3).min(max);
                return between(base, highest, random);
            }
            Kind::Custom(Custom(backoff)) => (backoff.delay(retry), Duration::MAX),
        };
        jitter.apply(delay, max, random)
    }
}

/// The schedule in the words of the attribute: `exponential(base = 100ms, factor = 2, max = 30s)`.
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

const fn in_order(base: Duration, max: Duration, kind: Kind) -> Checked<Schedule> {
    if max.as_nanos() < base.as_nanos() {
        return Err("`max` must not be below `base`");
    }
    Ok(Schedule(kind))
}

fn exponential(base: Duration, factor: f64, retry: u32, max: Duration) -> Duration {
    if base.is_zero() {
        return Duration::ZERO; // zero times infinity would not be a number
    }
    let exponent = i32::try_from(retry - 1).unwrap_or(i32::MAX);
    Duration::try_from_secs_f64(base.as_secs_f64() * factor.powi(exponent)).map_or(max, |delay| delay.min(max))
}

/// 1, 1, 2, 3, 5, 8, ...; everything from the 48th on is `u32::MAX`.
fn fibonacci(n: u32) -> u32 {
    let (mut current, mut next) = (1_u32, 1_u32);
    for _ in 1..n.min(48) {
        (current, next) = (next, current.saturating_add(next));
    }
    current
}

/// A random duration in `low..=high`.
pub(super) fn between(low: Duration, high: Duration, random: impl Fn(u64) -> u64) -> Duration {
    let width = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
    low.saturating_add(Duration::from_nanos(random(width)))
}
