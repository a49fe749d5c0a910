#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::{pin::pin, time::Duration};

#[cfg(feature = "rt-multi-thread")]
use super::blocking;
use super::{
    RetryPolicy,
    backoff::Retry,
    budget::Shared,
    nested::{self, Nested, Scope},
    statistics::{Counted, End},
    stop::Stop,
    verdict::{Passage, Verdict, is_worth},
};
#[cfg(feature = "tokio")]
use super::{nested::Scoped, pause};
use crate::{
    clock::{self, Moment},
    events::{self, Event},
    random, wait,
};

/// The attempts of one call under a policy: counts them and decides after each whether there is another.
///
/// Not generic, so that hundreds of annotated functions share one piece of code. **Invariant:** a call that succeeds at
/// the first attempt costs a comparison, and a step in and out of its [`Scope`]; with `max_elapsed` one reading of the clock; with a
/// name a count. To that end the policy comes along as an argument wherever a success passes: generated code has it as a constant, and
/// what it does not ask for is not there.
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
pub(super) enum Clock {
    Thread,
    Task,
}

impl Clock {
    pub(super) fn read(self) -> Moment {
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
        let started = if policy.reads_clock() { clock.read() } else { Moment::NONE };
        if let Some(Shared(budget)) = policy.budget {
            budget.count_call();
        }
        Self { policy, started, previous_delay: 0, made: 0, clock }
    }

    #[cfg(test)]
    pub(super) const fn skip_to(&mut self, made: u32) {
        self.made = made;
    }

    /// The policy that they go by.
    #[inline]
    #[must_use]
    pub const fn policy(&self) -> &'p RetryPolicy {
        self.policy
    }

    /// How many attempts were made, once another is to come.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// Whether the attempt that comes is the last that the policy allows.
    #[inline]
    #[must_use]
    pub const fn is_last(&self, policy: &RetryPolicy) -> bool {
        // With any number of attempts allowed this is `u32::MAX`, which is out of reach.
        policy.max_attempts.wrapping_sub(1) == self.made
    }

    /// Makes the attempt that comes: inside of it, other retries know of this one.
    #[inline]
    pub fn within<R>(&self, policy: &RetryPolicy, call: impl FnOnce() -> R) -> R {
        let _scope = Scope::of(self.worth_knowing(policy));
        #[cfg(feature = "tracing")]
        let _span = self.span().map(tracing::Span::entered);
        call()
    }

    /// The same for an attempt that is made in a task.
    #[cfg(feature = "tokio")]
    #[inline]
    #[must_use]
    pub fn scope<'a, F>(&'a self, call: Pin<&'a mut F>) -> Scoped<'a, F> {
        let scoped = Scoped::new(self.worth_knowing(self.policy), call);
        #[cfg(feature = "tracing")]
        let scoped = scoped.traced(self.span());
        scoped
    }

    /// The span of the attempt that comes, if it is a further one.
    #[cfg(feature = "tracing")]
    #[inline]
    fn span(&self) -> Option<tracing::Span> {
        if self.made == 0 { None } else { crate::trace::attempt(self.name(), self.made.saturating_add(1)) }
    }

    /// This, if a retry inside of the attempt that comes has to know of it.
    #[inline]
    const fn worth_knowing(&self, policy: &RetryPolicy) -> Option<&Self> {
        if self.made > 0 || policy.max_elapsed.is_some() { Some(self) } else { None }
    }

    /// When all has to be over, and by which clock.
    pub(super) fn deadline(&self) -> Option<(Moment, Clock)> {
        self.policy.max_elapsed.map(|limit| (self.started.after(clock::micros(limit)), self.clock))
    }

    pub(super) const fn name(&self) -> Option<&'static str> {
        self.policy.name
    }

    /// How long ago the first attempt began; zero where the policy does not measure it.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        if self.policy.reads_clock() { self.clock.read().since(self.started) } else { Duration::ZERO }
    }

    /// After an attempt: the delay before the next one, or `None` if there is none.
    #[allow(
        clippy::inline_always,
        reason = "a call on the path of a success makes it save registers, which costs more than all the rest"
    )]
    #[inline(always)]
    pub fn after(&mut self, policy: &RetryPolicy, verdict: Verdict, passage: Passage) -> Option<Duration> {
        if self.is_first_success(policy, verdict) {
            return None;
        }
        let delay = self.after_more(verdict)?;
        self.schedule(delay, passage.left_open())
    }

    /// Counts it, if it is one.
    #[allow(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn is_first_success(&self, policy: &RetryPolicy, verdict: Verdict) -> bool {
        let is_first_success = self.made == 0 && verdict == Verdict::Success;
        if let (true, Some(Counted(statistics))) = (is_first_success, policy.statistics) {
            statistics.count_first_success();
        }
        is_first_success
    }

    /// After anything but a success of the first attempt.
    #[cold]
    #[inline(never)]
    fn after_more(&mut self, verdict: Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Success => self.after_success(),
            Verdict::Final => self.after_final(),
            Verdict::Rejected => self.after_rejection(),
            Verdict::Transient { retry_after } => self.after_transient(retry_after),
        }
    }

    /// After an attempt of a thread: whether there is another. Then it has slept until that one.
    #[allow(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    pub fn again(&mut self, policy: &RetryPolicy, verdict: Verdict, passage: Passage) -> bool {
        if self.is_first_success(policy, verdict) {
            return false;
        }
        self.again_after(verdict, passage.left_open())
    }

    #[cold]
    #[inline(never)]
    fn again_after(&mut self, verdict: Verdict, left_open: Option<Duration>) -> bool {
        let delay = self.after_more(verdict).and_then(|delay| self.schedule(delay, left_open));
        if let Some(delay) = delay {
            self.pause_thread(delay);
        }
        delay.is_some()
    }

    /// As [`after`](Self::after), with a signal that there is to be no further attempt.
    #[inline]
    pub fn after_unless(
        &mut self,
        policy: &RetryPolicy,
        stop: &dyn Stop,
        verdict: Verdict,
        passage: Passage,
    ) -> Option<Duration> {
        match verdict {
            Verdict::Transient { .. } if stop.is_stopped() => {
                self.made = self.made.saturating_add(1);
                self.stopped();
                None
            }
            verdict => self.after(policy, verdict, passage),
        }
    }

    /// Sleeps on the thread.
    #[cold]
    pub fn pause_thread(&self, delay: Duration) {
        if !delay.is_zero() {
            self.tell_of_blocking();
            wait::sleep_on_thread(delay);
        }
    }

    /// Sleeps on the thread until a signal is given; whether it was.
    #[cold]
    pub fn pause_thread_until(&self, stop: &dyn Stop, delay: Duration) -> bool {
        if !delay.is_zero() {
            self.tell_of_blocking();
        }
        let stopped = wait::on_thread(pin!(stop.stopped()), delay).is_some();
        if stopped {
            self.stopped();
        }
        stopped
    }

    /// Sleeps in the task until a signal is given; whether it was.
    #[cfg(feature = "tokio")]
    #[cold]
    pub async fn pause_until(&self, stop: &dyn Stop, delay: Duration) -> bool {
        let stopped = pause::pause_until(stop, delay).await;
        if stopped {
            self.stopped();
        }
        stopped
    }

    /// Tells that the thread is about to be blocked, if that holds up tasks.
    #[allow(clippy::unused_self, reason = "with the feature it is used")]
    fn tell_of_blocking(&self) {
        #[cfg(feature = "rt-multi-thread")]
        blocking::tell(self.policy.name);
    }

    fn count(&self, end: End) {
        if let Some(Counted(statistics)) = self.policy.statistics {
            statistics.count(end);
        }
    }

    fn after_final(&self) -> Option<Duration> {
        match self.policy.statistics {
            Some(Counted(statistics)) if self.made == 0 => statistics.count_first_failure(),
            _ => self.count(End::NotTransient),
        }
        None
    }

    /// After an attempt that was none.
    fn after_rejection(&self) -> Option<Duration> {
        let (retry, attempt) = (self.policy.name, self.made.saturating_add(1));
        match self.policy.statistics {
            Some(Counted(statistics)) if self.made == 0 => statistics.count_first_rejection(),
            _ => self.count(End::Rejected),
        }
        events::tell(|| Event::RetryRejected { retry, attempt });
        None
    }

    /// A success that is not the first attempt's.
    fn after_success(&self) -> Option<Duration> {
        let (retry, attempts) = (self.policy.name, self.made.saturating_add(1));
        self.count(End::RetriedSuccess);
        events::tell(|| Event::RetrySucceeded { retry, attempts });
        None
    }

    #[cold]
    fn stopped(&self) {
        let (retry, attempts) = (self.policy.name, self.made);
        self.count(End::Stopped);
        events::tell(|| Event::RetryStopped { retry, attempts });
    }

    fn exhausted(&self) -> Option<Duration> {
        let (retry, attempts) = (self.policy.name, self.made);
        self.count(End::Exhausted);
        events::tell(|| Event::RetriesExhausted { retry, attempts });
        None
    }

    fn after_transient(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let (policy, is_last) = (self.policy, self.is_last(self.policy));
        self.made = self.made.saturating_add(1);
        if is_last || (policy.nested == Nested::Inherit && nested::is_nested()) {
            return self.exhausted();
        }
        let elapsed = self.elapsed();
        let previous = (self.made > 1).then(|| Duration::from_nanos(self.previous_delay));
        let retry = Retry { attempt: self.made, previous, elapsed, hint: retry_after };
        let delay = policy.schedule.delay(&retry, policy.jitter, random::up_to);
        self.previous_delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        let too_late = policy.max_elapsed.is_some_and(|limit| elapsed.saturating_add(delay) > limit);
        if too_late || nested::ends_too_late(delay) {
            return self.exhausted();
        }
        Some(delay)
    }

    /// Tells of the attempt that comes after this delay, if the budget has it; or gives no delay before what will be rejected.
    #[cold]
    #[inline(never)]
    fn schedule(&self, delay: Duration, left_open: Option<Duration>) -> Option<Duration> {
        if !is_worth(delay, left_open) {
            return Some(Duration::ZERO);
        }
        let (policy, retry, attempt) = (self.policy, self.policy.name, self.made);
        if nested::is_nested() {
            nested::tell(retry);
        }
        if policy.budget.is_some_and(|Shared(budget)| !budget.withdraw(clock::now())) {
            self.count(End::Denied);
            events::tell(|| Event::BudgetDenied { retry, attempts: attempt });
            return None;
        }
        if let Some(Counted(statistics)) = policy.statistics {
            statistics.count_retry(delay);
        }
        #[cfg(feature = "metrics")]
        crate::metrics::record_delay(policy.name, delay);
        events::tell(|| Event::RetryScheduled { retry, attempt, delay });
        Some(delay)
    }
}
