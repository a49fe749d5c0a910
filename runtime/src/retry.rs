//! Retrying.
//!
//! [`schedule`] and [`jitter`] are arithmetic, [`attempts`] decides, [`run`] and generated code are the loops around it. [`nested`] is
//! what retries know of each other.

pub(crate) mod attempts;
mod backoff;
#[cfg(feature = "rt-multi-thread")]
mod blocking;
mod budget;
mod jitter;
pub(crate) mod last_outcome;
pub(crate) mod named;
pub(crate) mod nested;
#[cfg(feature = "tokio")]
pub(crate) mod pause;
mod run;
mod schedule;
pub(crate) mod statistics;
pub(crate) mod stop;
#[cfg(test)]
mod tests;
pub(crate) mod verdict;

#[cfg(feature = "tokio")]
use std::future::Future;
use std::{fmt, marker::PhantomData, time::Duration};

pub(crate) use self::run::verdict_of;
pub use self::{
    backoff::{Backoff, RetryContext},
    budget::RetryBudget,
    jitter::Jitter,
    nested::Nested,
    run::{RetryIf, RetryUntil},
    schedule::Schedule,
    statistics::{RetrySnapshot, retries},
    stop::{Stop, StopSignal},
};
use self::{budget::Shared, statistics::Counted};
use crate::{
    Transient,
    checked::{Checked, valid},
    random,
};

/// How often to make a call, and how long to wait in between.
///
/// Built in a `const` or `static`, where a value that makes no sense does not compile; at run time the same mistakes
/// panic.
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
/// Only what the error type calls [`Transient`] is retried, or what [`retry_if`](Self::retry_if) says. The error of the
/// last attempt comes back as it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// 0 stands for any number.
    max_attempts: u32,
    schedule: Schedule,
    jitter: Jitter,
    max_elapsed: Option<Duration>,
    budget: Option<Shared>,
    nested: Nested,
    name: Option<&'static str>,
    /// Whether what an open circuit rejects is retried.
    retries_rejections: bool,
    /// Whether a hook wants to know the time that has passed.
    is_timed: bool,
    /// Where calls are counted, if they are.
    statistics: Option<Counted>,
}

impl RetryPolicy {
    /// The defaults: 3 attempts, exponential backoff from 100 ms by a factor of 2 up to 30 s, full jitter.
    ///
    /// Three attempts, since each more multiplies the load on a service that is failing already; the other two are what
    /// most clouds' own clients begin with.
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

    /// How often to call in all, the first time included.
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
            return Err("`max_attempts` must be at least 1: it counts the first call as well");
        }
        self.max_attempts = attempts;
        Ok(self)
    }

    /// Any number of attempts, if they are to end by `max_elapsed`.
    #[cfg(feature = "config")]
    pub(crate) const fn any_number(mut self) -> Self {
        self.max_attempts = 0;
        self
    }

    #[cfg(feature = "config")]
    pub(crate) const fn try_max_elapsed(mut self, limit: Duration) -> Checked<Self> {
        if limit.is_zero() {
            return Err("`max_elapsed` must be longer than 0: `max_attempts = 1` makes no retry");
        }
        self.max_elapsed = Some(limit);
        Ok(self)
    }

    /// Whether a jitter that was chosen has an effect.
    #[cfg(feature = "config")]
    pub(crate) fn has_useless_jitter(&self) -> bool {
        self.jitter != Jitter::none() && self.schedule.ignores_jitter()
    }

    /// Whether it would go on for ever.
    #[cfg(feature = "config")]
    pub(crate) const fn never_ends(&self) -> bool {
        self.max_attempts == 0 && self.max_elapsed.is_none()
    }

    /// Any number of attempts, as long as they end within `max_elapsed`.
    #[must_use]
    pub const fn unlimited(mut self, max_elapsed: Duration) -> Self {
        self.max_attempts = 0;
        self.max_elapsed(max_elapsed)
    }

    /// How the delay grows from one retry to the next.
    #[must_use]
    pub const fn backoff(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// What is random about a delay.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// How long all attempts and sleeps may take. A sleep that would end later is not begun; an attempt that is under
    /// way is not cut short.
    #[must_use]
    pub const fn max_elapsed(mut self, limit: Duration) -> Self {
        self.max_elapsed = Some(limit);
        self
    }

    /// What events call it. Attributes give the path of the function, or the `name` that it has.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Makes retries only as long as the budget has some, which other policies may share.
    #[must_use]
    pub const fn budget(mut self, budget: &'static RetryBudget) -> Self {
        self.budget = Some(Shared(budget));
        self
    }

    /// What it does inside of an attempt of another retry.
    #[must_use]
    pub const fn nested(mut self, nested: Nested) -> Self {
        self.nested = nested;
        self
    }

    /// Retries calls that an open circuit breaker has rejected, too: after the `retry_after` of the rejection, by which the policy's delay
    /// is replaced.
    ///
    /// Without it a rejection ends the retry, whatever the error type or the predicate says of the error. A rejection by a circuit that
    /// an operator has forced open without an expiry ends it in any case.
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

    /// For a hook that wants to know the time that has passed.
    #[doc(hidden)]
    #[must_use]
    pub const fn timed(mut self) -> Self {
        self.is_timed = true;
        self
    }

    /// The delays before the retries, to look at a schedule: without jitter, hints and limits of time. Without end for a policy
    /// that allows any number of attempts.
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

    /// Whether attempts are measured by time.
    const fn reads_clock(&self) -> bool {
        self.max_elapsed.is_some() || self.is_timed || self.schedule.wants_elapsed()
    }

    /// This policy, retrying what `predicate` calls worth it instead of what is [`Transient`].
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

    /// This policy, until a signal is given: then sleeps end at once, and the error of the last attempt comes back.
    ///
    /// ```
    /// # use std::{io, time::Duration};
    /// # use steadfast::{RetryPolicy, Schedule, StopSignal};
    /// static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::fixed(Duration::from_secs(60)));
    ///
    /// let signal = StopSignal::new();
    /// let result = POLICY.stop_on(&signal).run(|| {
    ///     signal.stop(); // another thread would do that
    ///     Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))
    /// });
    /// assert!(result.is_err());
    /// ```
    #[must_use]
    pub const fn stop_on<'p>(&'p self, stop: &'p dyn Stop) -> RetryUntil<'p> {
        RetryUntil { policy: self, stop, judge: run::ByType }
    }

    /// Calls `work` until it succeeds, fails for good, or the policy has had enough. Sleeps on the thread.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E: Transient>(&self, work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        run::run(self, work, verdict_of)
    }

    /// Calls `work` until it succeeds, fails for good, or the policy has had enough. Dropping the future ends it.
    ///
    /// `work` is a closure that returns a future: `async || fetch(&url).await`, or `|| fetch(&url)`. What it changes it
    /// changes through a `Cell` or a lock; a future that borrows from its closure could not be sent to another thread.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, E: Transient, F>(&self, work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run::run_async(self, work, verdict_of)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings in the words of the attribute: `max_attempts = 3, backoff = fixed(1s), jitter = full, max_elapsed = 30s`.
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
