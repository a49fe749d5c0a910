//! Retries with backoff.
//!
//! [`schedule`] and [`jitter`] compute delays, and [`attempts`] decides after each attempt whether to make another one. The retry loops are
//! in [`run`], in [`call`] and in generated code. [`budget`] limits the retries of many calls together, [`statistics`] counts calls, and
//! [`named_policy`] lets settings from a file or the environment replace a policy. [`listed`] contains the named policies that no attribute
//! declares.

mod attempt;
pub(crate) mod attempts;
mod backoff;
mod budget;
pub(crate) mod budgets;
mod call;
mod call_options;
pub(crate) mod error_view;
mod inspect;
mod jitter;
pub(crate) mod last_outcome;
pub(crate) mod listed;
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
use std::time::Duration;

pub(crate) use self::named::Retries;
pub use self::{
    attempt::attempt,
    backoff::{Backoff, RetryContext},
    budget::{BudgetSnapshot, RetryBudget},
    budgets::retry_budgets,
    call::{MatchingErrors, MatchingResults, RetryCall, TransientErrors},
    call_options::{NoHook, NoStop, OnRetry, RetryStop},
    jitter::Jitter,
    named::{POLICIES, retries},
    nesting::Nested,
    schedule::Schedule,
    statistics::RetrySnapshot,
};
use self::{error_view::view_of, statistics::Statistics};
use crate::{
    Transient,
    by_address::ByAddress,
    checked::{InvalidSetting, valid},
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
/// An error is retried if it is [`Transient`]; with [`retry_if`](Self::retry_if) or [`retry_if_result`](Self::retry_if_result), a predicate
/// decides instead. The error of the last attempt is returned unchanged. A predicate, a hook and a stop signal are not part of the policy,
/// since a `const` cannot contain them; each belongs to a [`RetryCall`].
///
/// With a [`name`](Self::name), calls are counted under the name, as those of `#[retry(name = "...")]` are.
///
/// Two policies are equal if their settings are equal; the budget and a custom [`Backoff`] are compared by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first; 0 if unlimited.
    max_attempts: u32,
    schedule: Schedule,
    jitter: Jitter,
    max_elapsed: Option<Duration>,
    /// A longer hint ends the retry.
    max_retry_after: Duration,
    budget: Option<ByAddress<RetryBudget>>,
    nested: Nested,
    name: Option<&'static str>,
    /// True if the name was set by the user of the policy, whose calls are counted in [`listed`].
    is_listed: bool,
    /// True if rejections by an open circuit are retried.
    retries_rejections: bool,
    /// True if a hook needs the elapsed time.
    is_timed: bool,
    /// The counts of a named retry.
    statistics: Option<ByAddress<Statistics>>,
}

/// The default of [`max_retry_after`](RetryPolicy::max_retry_after).
const DEFAULT_MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

impl RetryPolicy {
    /// Creates a policy with the defaults: 3 attempts, exponential backoff from 100 ms by a factor of 2 up to 30 s, full jitter, hints of up
    /// to 60 s.
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
            max_retry_after: DEFAULT_MAX_RETRY_AFTER,
            budget: None,
            nested: Nested::Independent,
            name: None,
            is_listed: false,
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

    /// Like [`max_attempts`](Self::max_attempts), for a number from outside of the program.
    ///
    /// # Errors
    ///
    /// If `attempts` is 0.
    pub const fn try_max_attempts(mut self, attempts: u32) -> Result<Self, InvalidSetting> {
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

    /// Sets the longest delay that an error may ask for ([`Transient::retry_after`]); by default 60 s. A longer hint ends the retry with the
    /// error, so that no server can make a caller wait for a day. The event
    /// [`RetriesExhausted`](crate::events::Event::RetriesExhausted) then contains the hint.
    ///
    /// A shorter hint takes the place of the computed delay, as a lower bound. Unless the policy has no jitter, the delay is random between the
    /// hint and the longer of the computed delay and the hint and a quarter, so that callers with the same hint do not all return at the same
    /// moment. A hint of zero has no effect. `max_elapsed` still applies. The `retry_after` of a circuit
    /// breaker, after [`retry_rejections`](Self::retry_rejections), has no such limit.
    ///
    /// # Panics
    ///
    /// If `longest` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_retry_after(self, longest: Duration) -> Self {
        valid!(self.try_max_retry_after(longest))
    }

    /// Like [`max_retry_after`](Self::max_retry_after), for a time from outside of the program.
    ///
    /// # Errors
    ///
    /// If `longest` is 0.
    pub const fn try_max_retry_after(mut self, longest: Duration) -> Result<Self, InvalidSetting> {
        if longest.is_zero() {
            return Err(InvalidSetting::new(
                "`max_retry_after` must be longer than 0: with 0, any hint would end the retry",
            ));
        }
        self.max_retry_after = longest;
        Ok(self)
    }

    /// Sets the name: it appears in events, and [`retries`] and the metrics contain the counts of all calls under it.
    ///
    /// The policy is listed from its first call on; if it is a `static`, [`register!`](crate::register) lists it from the start, and settings
    /// from a file or the environment apply to it. Policies with the same name are counted together. At most 1,024 different policies of the
    /// program are counted.
    ///
    /// ```
    /// use std::io;
    /// use steadfast::RetryPolicy;
    ///
    /// static MAIL: RetryPolicy = RetryPolicy::new().name("mail").max_attempts(5);
    /// steadfast::register!(MAIL);
    ///
    /// MAIL.run(|| io::Result::Ok(()))?;
    /// let mail = steadfast::retries().into_iter().find(|retry| retry.name == "mail");
    /// assert_eq!(mail.unwrap().first_try_successes, 1);
    /// # Ok::<(), io::Error>(())
    /// ```
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self.is_listed = true;
        self
    }

    /// Sets the name that appears in events, without counting calls under it.
    pub(crate) const fn label(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the name if there is none.
    pub(crate) const fn named_by_default(mut self, name: &'static str) -> Self {
        if self.name.is_none() {
            self.name = Some(name);
        }
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

    /// Returns a call of this policy with a predicate that selects the errors to retry, in place of [`Transient`].
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
    ///
    /// A rejection by an open circuit breaker inside `work` ends the retry whatever the predicate returns, unless the policy
    /// [retries rejections](Self::retry_rejections).
    pub const fn retry_if<E, P: FnMut(&E) -> bool>(&self, predicate: P) -> RetryCall<'_, MatchingErrors<E, P>> {
        RetryCall::new(self, MatchingErrors::new(predicate), NoHook)
    }

    /// Returns a call of this policy with a predicate over the whole value that the function returns, for example to poll: `true` retries. The
    /// function may return any type.
    ///
    /// ```
    /// # use steadfast::{RetryPolicy, Schedule};
    /// static POLICY: RetryPolicy = RetryPolicy::new().max_attempts(10).backoff(Schedule::none());
    ///
    /// let mut progress = 0;
    /// let done = POLICY.retry_if_result(|progress| *progress < 3).run(|| {
    ///     progress += 1;
    ///     progress
    /// });
    /// assert_eq!(done, 3);
    /// ```
    pub const fn retry_if_result<R, P: FnMut(&R) -> bool>(&self, predicate: P) -> RetryCall<'_, MatchingResults<R, P>> {
        RetryCall::new(self, MatchingResults::new(predicate), NoHook)
    }

    /// Returns a call of this policy with a hook that is called before each sleep, with the number of the failed attempt, the delay and the
    /// error.
    ///
    /// ```
    /// # use std::io;
    /// # use steadfast::{RetryPolicy, Schedule};
    /// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    ///
    /// let mut kinds = Vec::new();
    /// let result: io::Result<()> = POLICY
    ///     .on_retry(|_attempt, _delay, error: &io::Error| kinds.push(error.kind()))
    ///     .run(|| Err(io::ErrorKind::TimedOut.into()));
    /// assert!(result.is_err());
    /// assert_eq!(kinds, [io::ErrorKind::TimedOut; 2]);
    /// ```
    pub const fn on_retry<T, F: FnMut(u32, Duration, &T)>(&self, hook: F) -> RetryCall<'_, TransientErrors, F> {
        RetryCall::new(self, TransientErrors, hook)
    }

    /// Returns a call of this policy with a stop signal. Once the signal is set, sleeps end at once, and the error of the last attempt is
    /// returned.
    ///
    /// ```
    /// # use std::{io, sync::Arc, time::Duration};
    /// # use steadfast::{RetryPolicy, Schedule, StopSignal};
    /// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::fixed(Duration::from_secs(60)));
    ///
    /// let signal = Arc::new(StopSignal::new()); // or a `static`, or a `CancellationToken`
    /// let result = POLICY.stop_on(&signal).run(|| {
    ///     signal.stop(); // usually called by another thread
    ///     Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))
    /// });
    /// assert!(result.is_err());
    /// ```
    pub const fn stop_on<'p>(&'p self, stop: &'p dyn Stop) -> RetryCall<'p, TransientErrors, NoHook, &'p dyn Stop> {
        RetryCall::stopped_by(self, stop)
    }

    /// Calls `work` until it succeeds, it fails with an error that is not retried, or a limit of the policy is reached. Sleeps between
    /// attempts block the thread.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E: Transient>(&self, work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        run::run(listed::in_force(self), work, verdict_of, view_of)
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
        run::run_async(listed::in_force(self), work, verdict_of, view_of)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}
