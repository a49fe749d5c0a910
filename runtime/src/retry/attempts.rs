use std::time::Duration;

use super::{RetryPolicy, backoff::Retry, budget::Shared};
use crate::{
    clock::{self, Moment},
    events::{self, Event},
    random,
};

/// The attempts of one call under a policy: counts them and decides after each whether there is another.
///
/// Not generic, so that hundreds of annotated functions share one piece of code. **Invariant:** a call that succeeds at
/// the first attempt costs a comparison, and with `max_elapsed` one reading of the clock.
#[derive(Debug)]
pub struct Attempts<'p> {
    policy: &'p RetryPolicy,
    /// When the first attempt began, where there is a `max_elapsed`; otherwise any moment.
    started: Moment,
    /// The delay before the last attempt in nanoseconds; 0 before the first delay. Futures hold this, so it is small.
    previous_delay: u64,
    made: u32,
    clock: Clock,
}

/// The clock that the sleeps go by. A paused task clock would never reach the end of sleeps that a thread really sleeps.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Task,
    Thread,
}

/// What the outcome of an attempt means to a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is left to do.
    Success,
    /// A failure that another attempt would not change.
    Final,
    /// Another attempt may succeed: after this long if it is known, else as the policy has it.
    Transient {
        /// What the error asks for.
        retry_after: Option<Duration>,
    },
}

/// How an attempt fared at the breaker inside the retry.
#[derive(Clone, Copy, Debug)]
pub enum Passage {
    /// The call was made.
    Made,
    /// The call was made, and the circuit is open now, for this long.
    Opened(Duration),
    /// There was no call. One may be admitted after this long, if that is known.
    Rejected(Option<Duration>),
}

impl Passage {
    /// How it fared at two breakers, this one being the inner.
    #[must_use]
    pub const fn or(self, outer: Self) -> Self {
        match self {
            Self::Made => outer,
            inner => inner,
        }
    }

    /// The sleep before the next attempt. None at all if the circuit would still be open after it: then the rejection may
    /// as well come at once.
    #[must_use]
    pub fn shorten(self, delay: Duration) -> Duration {
        match self {
            Self::Opened(left) if left > delay => Duration::ZERO,
            _ => delay,
        }
    }
}

impl Verdict {
    /// An attempt that a breaker inside the retry has rejected.
    #[must_use]
    pub const fn rejected(retry_after: Option<Duration>, wanted: bool) -> Self {
        match retry_after {
            Some(_) if wanted => Self::Transient { retry_after },
            // Not asked for; or forced open by an operator, and nobody knows for how long.
            _ => Self::Final,
        }
    }

    /// Another attempt may succeed if `transient`.
    #[must_use]
    pub const fn transient_if(transient: bool) -> Self {
        if transient { Self::Transient { retry_after: None } } else { Self::Final }
    }
}

impl Clock {
    fn read(self) -> Moment {
        match self {
            Self::Task => clock::now(),
            Self::Thread => clock::thread_now(),
        }
    }
}

impl<'p> Attempts<'p> {
    /// Before the first attempt of a task.
    #[inline]
    #[must_use]
    pub fn of_task(policy: &'p RetryPolicy) -> Self {
        Self::by(Clock::Task, policy)
    }

    /// Before the first attempt of a thread.
    #[inline]
    #[must_use]
    pub fn of_thread(policy: &'p RetryPolicy) -> Self {
        Self::by(Clock::Thread, policy)
    }

    #[inline]
    fn by(clock: Clock, policy: &'p RetryPolicy) -> Self {
        let started = if policy.reads_clock() { clock.read() } else { Moment::ORIGIN };
        if let Some(Shared(budget)) = policy.budget {
            budget.count_call();
        }
        Self { policy, started, previous_delay: 0, made: 0, clock }
    }

    #[cfg(test)]
    pub(super) const fn skip_to(&mut self, made: u32) {
        self.made = made;
    }

    /// How many attempts were made, once another is to come.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// Whether the attempt that comes is the last that the policy allows.
    #[inline]
    #[must_use]
    pub const fn is_last(&self) -> bool {
        // With any number of attempts allowed this is `u32::MAX`, which is out of reach.
        self.policy.max_attempts.wrapping_sub(1) == self.made
    }

    /// After an attempt: the delay before the next one, or `None` if there is none.
    #[inline]
    pub fn after(&mut self, verdict: Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Success if self.made == 0 => None,
            Verdict::Final => None,
            Verdict::Success => self.after_success(),
            Verdict::Transient { retry_after } => self.after_transient(retry_after),
        }
    }

    /// A success that is not the first attempt's.
    #[cold]
    fn after_success(&self) -> Option<Duration> {
        let (retry, attempts) = (self.policy.name, self.made.saturating_add(1));
        events::tell(|| Event::RetrySucceeded { retry, attempts });
        None
    }

    #[cold]
    fn after_transient(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let (policy, is_last) = (self.policy, self.is_last());
        let retry_name = policy.name;
        self.made = self.made.saturating_add(1);
        if is_last {
            events::tell(|| Event::RetriesExhausted { retry: retry_name, attempts: self.made });
            return None;
        }
        let elapsed = if policy.reads_clock() { self.clock.read().since(self.started) } else { Duration::ZERO };
        let previous = (self.made > 1).then(|| Duration::from_nanos(self.previous_delay));
        let retry = Retry { attempt: self.made, previous, elapsed, hint: retry_after };
        let delay = policy.schedule.delay(&retry, policy.jitter, random::up_to);
        self.previous_delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        if policy.max_elapsed.is_some_and(|limit| elapsed.saturating_add(delay) > limit) {
            events::tell(|| Event::RetriesExhausted { retry: retry_name, attempts: self.made });
            return None;
        }
        if policy.budget.is_some_and(|Shared(budget)| !budget.withdraw(clock::now())) {
            events::tell(|| Event::RetryDenied { retry: retry_name, attempts: self.made });
            return None;
        }
        events::tell(|| Event::RetryScheduled { retry: retry_name, attempt: self.made, delay });
        Some(delay)
    }
}
