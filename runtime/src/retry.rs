//! Retries with backoff.
//!
//! [`schedule`] and [`jitter`] compute delays, and [`attempts`] decides after each attempt whether to make another one. The retry loops are
//! in [`run`] and in generated code. [`budget`] limits the retries of many calls together, [`statistics`] counts calls, and
//! [`named_policy`] lets settings from a file or the environment replace a policy.

pub(crate) mod attempts;
mod backoff;
mod budget;
mod jitter;
pub(crate) mod last_outcome;
#[cfg(feature = "config")]
mod merge;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
mod named;
pub(crate) mod named_policy;
mod nesting;
mod run;
mod schedule;
pub(crate) mod statistics;
#[cfg(test)]
mod tests;

#[cfg(feature = "tokio")]
use std::future::Future;
use std::{fmt, marker::PhantomData, time::Duration};

pub(crate) use self::named::Retries;
use self::statistics::Statistics;
pub use self::{
    backoff::{Backoff, RetryContext},
    budget::RetryBudget,
    jitter::Jitter,
    named::{POLICIES, retries},
    nesting::Nested,
    run::{ErrorSelection, MatchingErrors, RetryIf, RetryUntil, TransientErrors},
    schedule::Schedule,
    statistics::RetrySnapshot,
};
use crate::{
    Transient,
    by_address::ByAddress,
    checked::{Checked, InvalidSetting, valid},
    random,
    stop::Stop,
    transient::verdict_of,
};

/// A retry policy: the number of attempts, the delays between them, and their limits.
///
/// In a `const` or `static`, an invalid value is a compile error; at run time, it is a panic.
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{RetryPolicy, Schedule};
///
/// static POLICY: RetryPolicy = RetryPolicy::new()
///     .max_attempts(4)
///     .backoff(Schedule::fixed(Duration::from_millis(1)));
///
/// let mut attempts = 0;
/// let answer = POLICY.run(|| {
///     attempts += 1;
///     if attempts < 3 { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { Ok(42) }
/// });
/// assert_eq!(answer?, 42);
/// assert_eq!(attempts, 3);
/// # Ok::<(), io::Error>(())
/// ```
///
/// An error is retried if it is [`Transient`]; with [`retry_if`](Self::retry_if), a predicate decides instead. The error of the last
/// attempt is returned unchanged.
///
/// Two policies are equal if their settings are equal; the budget and a custom [`Backoff`] are compared by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first; 0 if unlimited.
    max_attempts: u32,
    schedule: Schedule,
    jitter: Jitter,
    max_elapsed: Option<Duration>,
    budget: Option<ByAddress<RetryBudget>>,
    nested: Nested,
    name: Option<&'static str>,
    /// True if rejections by an open circuit are retried.
    retries_rejections: bool,
    /// True if a hook needs the elapsed time.
    is_timed: bool,
    /// The counts of a named retry.
    statistics: Option<ByAddress<Statistics>>,
}

impl RetryPolicy {
    /// Creates a policy with the defaults: 3 attempts, exponential backoff from 100 ms by a factor of 2 up to 30 s, full jitter.
    ///
    /// The number of attempts is low, since each further attempt adds load to a service that is already failing. Backoff and jitter are the
    /// usual defaults of the cloud providers' clients.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_attempts: 3,
            schedule: Schedule::exponential(Duration::from_millis(100), 2.0, Duration::from_secs(30)),
            jitter: Jitter::full(),
            max_elapsed: None,
            budget: None,
            nested: Nested::Independent,
            name: None,
            retries_rejections: false,
            is_timed: false,
            statistics: None,
        }
    }

    /// Sets the maximum number of attempts, including the first.
    ///
    /// # Panics
    ///
    /// If `attempts` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_attempts(self, attempts: u32) -> Self {
        valid!(self.try_max_attempts(attempts))
    }

    pub(crate) const fn try_max_attempts(mut self, attempts: u32) -> Checked<Self> {
        if attempts == 0 {
            return Err(InvalidSetting::new("`max_attempts` must be at least 1: it counts the first call as well"));
        }
        self.max_attempts = attempts;
        Ok(self)
    }

    /// Removes the limit on attempts. [`is_endless`](Self::is_endless) then returns true unless `max_elapsed` is set.
    #[cfg(feature = "config")]
    pub(crate) const fn unlimited_attempts(mut self) -> Self {
        self.max_attempts = 0;
        self
    }

    #[cfg(feature = "config")]
    pub(crate) const fn try_max_elapsed(mut self, limit: Duration) -> Checked<Self> {
        if limit.is_zero() {
            return Err(InvalidSetting::new("`max_elapsed` must be longer than 0: `max_attempts = 1` makes no retry"));
        }
        self.max_elapsed = Some(limit);
        Ok(self)
    }

    /// Returns true if a jitter is set that has no effect on the schedule.
    #[cfg(feature = "config")]
    pub(crate) fn has_useless_jitter(&self) -> bool {
        self.jitter != Jitter::none() && self.schedule.ignores_jitter()
    }

    /// Returns true if neither `max_attempts` nor `max_elapsed` limits the attempts.
    #[cfg(feature = "config")]
    pub(crate) const fn is_endless(&self) -> bool {
        self.max_attempts == 0 && self.max_elapsed.is_none()
    }

    /// Removes the limit on attempts and sets [`max_elapsed`](Self::max_elapsed).
    #[must_use]
    pub const fn unlimited(mut self, max_elapsed: Duration) -> Self {
        self.max_attempts = 0;
        self.max_elapsed(max_elapsed)
    }

    /// Sets the delays between attempts.
    #[must_use]
    pub const fn backoff(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the random part of the delays.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets a limit on the total time of all attempts and of the sleeps between them. A sleep that would exceed the limit is not started; a
    /// running attempt is not interrupted.
    #[must_use]
    pub const fn max_elapsed(mut self, limit: Duration) -> Self {
        self.max_elapsed = Some(limit);
        self
    }

    /// Sets the name that appears in events. Attributes set the path of the function, or its `name` option.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the retry budget, which several policies can share. If the budget is exhausted, the last error is returned at once.
    #[must_use]
    pub const fn budget(mut self, budget: &'static RetryBudget) -> Self {
        self.budget = Some(ByAddress(budget));
        self
    }

    /// Sets the behaviour of this retry inside an attempt of another retry.
    #[must_use]
    pub const fn nested(mut self, nested: Nested) -> Self {
        self.nested = nested;
        self
    }

    /// Also retries calls that an open circuit breaker has rejected. The `retry_after` of the rejection replaces the policy's delay.
    ///
    /// By default a rejection ends the retry, even if the error is transient or the predicate returns true. A rejection by a circuit that
    /// an operator has forced open without an expiry always ends the retry.
    ///
    /// ```
    /// use std::{io, time::Duration};
    /// use steadfast::{BreakerConfig, CircuitBreaker, RetryPolicy, Schedule};
    ///
    /// static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());
    /// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    ///
    /// # fn send() -> io::Result<()> { Ok(()) }
    /// MAIL.force_open_for(Duration::from_millis(5));
    /// assert!(POLICY.run(|| MAIL.call(send)).is_err()); // after one attempt
    /// assert!(POLICY.retry_rejections().run(|| MAIL.call(send)).is_ok());
    /// ```
    #[must_use]
    pub const fn retry_rejections(mut self) -> Self {
        self.retries_rejections = true;
        self
    }

    /// Enables the measurement of the elapsed time, for a hook.
    pub(crate) const fn timed(mut self) -> Self {
        self.is_timed = true;
        self
    }

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
            let retry = RetryContext { attempt, previous, elapsed: Duration::ZERO, hint: None };
            let delay = policy.schedule.delay(&retry, Jitter::none(), random::up_to);
            previous = Some(delay);
            delay
        })
    }

    /// Returns true if a limit, a hook or the schedule needs the elapsed time.
    const fn reads_clock(&self) -> bool {
        self.max_elapsed.is_some() || self.is_timed || self.schedule.needs_elapsed()
    }

    /// Returns true if the decision after an attempt depends only on the verdict, the number of the attempt and random numbers, and
    /// nothing is counted.
    const fn is_plain(&self) -> bool {
        !self.tracks_retries()
            && !self.reads_clock()
            && !self.schedule.needs_previous()
            && matches!(self.nested, Nested::Independent)
    }

    /// Returns true if retries are withdrawn from a budget or counted when they begin.
    const fn tracks_retries(&self) -> bool {
        cfg!(feature = "metrics") || self.budget.is_some() || self.statistics.is_some()
    }

    /// Returns this policy with a predicate that selects the errors to retry, in place of [`Transient`].
    ///
    /// ```
    /// # use steadfast::{RetryPolicy, Schedule};
    /// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    ///
    /// let result: Result<(), String> = POLICY
    ///     .retry_if(|error: &String| error == "busy")
    ///     .run(|| Err("gone".to_owned()));
    /// assert_eq!(result.unwrap_err(), "gone"); // after one attempt
    /// ```
    #[must_use]
    pub const fn retry_if<E, P: Fn(&E) -> bool>(&self, predicate: P) -> RetryIf<'_, E, P> {
        RetryIf { policy: self, predicate, error: PhantomData }
    }

    /// Returns this policy with a stop signal. Once the signal is set, sleeps end at once, and the error of the last attempt is returned.
    ///
    /// ```
    /// # use std::{io, time::Duration};
    /// # use steadfast::{RetryPolicy, Schedule, StopSignal};
    /// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::fixed(Duration::from_secs(60)));
    ///
    /// let signal = StopSignal::new();
    /// let result = POLICY.stop_on(&signal).run(|| {
    ///     signal.stop(); // usually called by another thread
    ///     Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))
    /// });
    /// assert!(result.is_err());
    /// ```
    #[must_use]
    pub const fn stop_on<'p>(&'p self, stop: &'p dyn Stop) -> RetryUntil<'p> {
        RetryUntil { policy: self, stop, classify: TransientErrors }
    }

    /// Calls `work` until it succeeds, it fails with an error that is not retried, or a limit of the policy is reached. Sleeps between
    /// attempts block the thread.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E: Transient>(&self, work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        run::run(self, work, verdict_of, Transient::as_dyn_display)
    }

    /// Calls `work` until it succeeds, it fails with an error that is not retried, or a limit of the policy is reached. Dropping the future
    /// cancels the call.
    ///
    /// `work` is a closure that returns a future: `async || fetch(&url).await`, or `|| fetch(&url)`. The future cannot borrow mutably from
    /// the closure, since such a future could not be sent to another thread; use a `Cell` or a lock instead.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, E: Transient, F>(&self, work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run::run_async(self, work, verdict_of, Transient::as_dyn_display)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Formats the settings as the attribute's options: `max_attempts = 3, backoff = fixed(1s), jitter = full, max_elapsed = 30s`.
impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_attempts {
            0 => f.write_str("max_attempts = unlimited")?,
            attempts => write!(f, "max_attempts = {attempts}")?,
        }
        write!(f, ", backoff = {}, jitter = {}", self.schedule, self.jitter)?;
        self.max_elapsed.map_or(Ok(()), |limit| write!(f, ", max_elapsed = {limit:?}"))
    }
}
