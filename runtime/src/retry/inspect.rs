//! The settings of a policy as values: getters, the list of delays, the text.

use std::{fmt, time::Duration};

use super::{DEFAULT_MAX_RETRY_AFTER, Jitter, Nested, RetryBudget, RetryContext, RetryPolicy, Schedule};
use crate::{
    by_address::ByAddress,
    layers::{ConfigOptions, DurationText, OptionText, VisitOption, write_options},
    random,
};

impl RetryPolicy {
    /// Returns the delays before the retries, to inspect a schedule. Jitter, hints and time limits are not applied. An unlimited policy has
    /// `u32::MAX` delays.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{RetryPolicy, Schedule};
    ///
    /// let (base, max) = (Duration::from_secs(1), Duration::from_secs(40));
    /// let policy = RetryPolicy::new().max_attempts(9).backoff(Schedule::exponential(base, 2.0, max));
    /// let seconds: Vec<_> = policy.delays().map(|delay| delay.as_secs()).collect();
    /// assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 40, 40]);
    /// ```
    pub fn delays(&self) -> impl Iterator<Item = Duration> + use<> {
        let (policy, mut previous) = (*self, None);
        let retries = if policy.max_attempts == 0 { u32::MAX } else { policy.max_attempts - 1 };
        (1..=retries).map(move |attempt| {
            let retry = RetryContext { attempt, previous, elapsed: Duration::ZERO, hint: None, error: None };
            let delay = policy.schedule.delay(&retry, Jitter::none(), Duration::MAX, random::up_to);
            previous = Some(delay);
            delay
        })
    }

    /// Returns the maximum number of attempts, including the first; `None` if it is unlimited.
    #[must_use]
    pub const fn get_max_attempts(&self) -> Option<u32> {
        match self.max_attempts {
            0 => None,
            attempts => Some(attempts),
        }
    }

    /// Returns the delays between attempts, before jitter.
    #[must_use]
    pub const fn get_backoff(&self) -> Schedule {
        self.schedule
    }

    /// Returns the random part of the delays.
    #[must_use]
    pub const fn get_jitter(&self) -> Jitter {
        self.jitter
    }

    /// Returns the limit on the total time of all attempts and sleeps; `None` if there is none.
    #[must_use]
    pub const fn get_max_elapsed(&self) -> Option<Duration> {
        self.max_elapsed
    }

    /// Returns the longest delay that an error may ask for.
    #[must_use]
    pub const fn get_max_retry_after(&self) -> Duration {
        self.max_retry_after
    }

    /// Returns the name; `None` if the policy has none.
    #[must_use]
    pub const fn get_name(&self) -> Option<&'static str> {
        self.name
    }

    /// Returns the retry budget; `None` if the policy has none.
    #[must_use]
    pub const fn get_budget(&self) -> Option<&'static RetryBudget> {
        match self.budget {
            Some(ByAddress(budget)) => Some(budget),
            None => None,
        }
    }

    /// Returns the behaviour inside an attempt of another retry.
    #[must_use]
    pub const fn get_nested(&self) -> Nested {
        self.nested
    }

    /// Returns true if calls that an open circuit breaker has rejected are retried.
    #[must_use]
    pub const fn get_retry_rejections(&self) -> bool {
        self.retries_rejections
    }
}

/// Formats the settings as the attribute's options: `max_attempts = 3, backoff = fixed(1s), jitter = full, max_elapsed = 30s`.
/// A `max_retry_after` is included if it is not the default.
impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_options(self, f)
    }
}

impl ConfigOptions for RetryPolicy {
    fn visit_options(&self, visit: &mut VisitOption<'_>) -> fmt::Result {
        let Self { max_attempts, schedule, jitter, max_elapsed, max_retry_after, .. } = self;
        let has_default = *max_retry_after == DEFAULT_MAX_RETRY_AFTER;
        visit("max_attempts", OptionText::Value(if *max_attempts == 0 { &"unlimited" } else { max_attempts }))?;
        visit("backoff", OptionText::Value(schedule))?;
        visit("jitter", OptionText::Value(jitter))?;
        visit("max_elapsed", OptionText::if_any(max_elapsed.map(DurationText).as_ref()))?;
        visit("max_retry_after", OptionText::unless(has_default, &DurationText(*max_retry_after)))
    }
}
