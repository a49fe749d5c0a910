use std::time::Duration;

use super::schedule::between;

/// What is random about a delay, so that callers that failed together do not come back together.
///
/// The schedule's `max` holds after jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from nothing to the whole delay. The default: of all the ways to spread callers it leaves the fewest
    /// calls to make and the shortest queue, as Marc Brooker measures in
    /// [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    Full,
    /// Anything from half of the delay to the whole.
    Equal,
    /// The delay and up to this share of it more, as in `0.1` for up to 10 %. Take [`Jitter::proportional`], which
    /// checks it; a share that is not in `0.0..=1.0` is taken as the nearest that is.
    Proportional(f64),
    /// Nothing: every delay is as computed.
    None,
}

impl Jitter {
    /// The delay and up to `share` of it more, as in `0.1` for up to 10 %.
    ///
    /// # Panics
    ///
    /// If `share` is not in `0.0..=1.0`. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn proportional(share: f64) -> Self {
        assert!(share >= 0.0 && share <= 1.0, "the share of `proportional` must be in 0.0..=1.0");
        Self::Proportional(share)
    }

    pub(super) fn apply(self, delay: Duration, max: Duration, random: impl Fn(u64) -> u64) -> Duration {
        match self {
            Self::Full => between(Duration::ZERO, delay, random),
            Self::Equal => between(delay / 2, delay, random),
            Self::Proportional(share) => {
                // `max` treats a NaN as missing, so that any share ends up in range.
                let share = share.max(0.0).min(1.0);
                let most = Duration::try_from_secs_f64(delay.as_secs_f64() * share).unwrap_or(delay);
                between(delay, delay.saturating_add(most).min(max), random)
            }
            Self::None => delay,
        }
    }
}
