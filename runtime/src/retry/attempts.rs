#[cfg(feature = "tokio")]
use std::task::Wake;
use std::{
    fmt,
    future::Future,
    mem::{self, ManuallyDrop},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

#[cfg(feature = "rt-multi-thread")]
use super::blocking;
use super::{
    RetryPolicy,
    backoff::RetryContext,
    budget::Shared,
    last_outcome::LastOutcome,
    nested::{self, Nested},
    statistics::{Counted, End},
    stop::{Relay, Stop},
    verdict::{Disposition, Verdict, is_worth},
};
#[cfg(feature = "tokio")]
use super::{nested::Scoped, pause::Pause, stop::given};
#[cfg(feature = "rt-multi-thread")]
use crate::scope::polled::Polled;
#[cfg(feature = "tokio")]
use crate::scope::{Created, Scope};
use crate::{
    breaker::trace::{self, Rejection},
    clock::{self, Moment},
    events::{self, Event},
    random,
    scope::{Around, Clock, Deadline, Found, Innermost, Retried, ThreadScope},
    wait,
};

/// The attempts of one call under a policy: counts them and decides after each whether there is another.
///
/// Not generic, so that hundreds of annotated functions share one piece of code. **Invariant:** a call that succeeds at
/// the first attempt costs a comparison, and a step in and out of its scope; with `max_elapsed` one reading of the clock; with a
/// name a count. To that end the policy comes along as an argument wherever a success passes: generated code has it as a constant, and
/// what it does not ask for is not there.
#[derive(Debug)]
pub struct Attempts<'p> {
    policy: &'p RetryPolicy,
    /// When the first attempt began, where there is a `max_elapsed`; otherwise any moment.
    started: Moment,
    /// In a box, so that futures, which hold this, are small. Taken out by [`finish`](Self::finish), so that a success has nothing to drop.
    rare: ManuallyDrop<Option<Box<Extras<'p>>>>,
    made: u32,
    clock: Clock,
    /// True if the call is a part of an attempt of another retry.
    is_nested: bool,
    surroundings: Surroundings,
    state: State,
}

/// What is known of the scope around a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surroundings {
    /// Nothing yet. The call is within its first attempt, and has nothing in the box.
    New,
    /// There is nothing around it. The same otherwise.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only futures are created before they run"))]
    Alone,
    /// Nothing yet.
    Unread,
    /// All that there was when it was read. Where it is polled next, there may be more.
    Open,
    /// All.
    Settled,
}

impl Surroundings {
    /// Returns true in the first attempt of a call without a time limit, a stop signal, and anything to know around it, as long as it has
    /// not waited. That is all that the path of a success asks.
    #[inline]
    const fn is_plain(self) -> bool {
        matches!(self, Self::New | Self::Alone)
    }
}

/// The end of a call: what is to be done if it is dropped now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing. The surroundings are plain, and no end is counted or a success has been.
    Done,
    /// The box is dropped, if there is one. The end has been counted, or is not.
    Held,
    /// It waits: for its first attempt, between two attempts, or as a task that is not polled.
    Waiting,
    /// It is within an attempt, or decides about the next. If it is dropped now, it has panicked.
    Running,
}

impl State {
    /// Returns true if the end is to be counted.
    const fn is_counted(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// What a call needs that is retried, that has something around it, or that a signal can stop.
#[derive(Debug, Default)]
struct Extras<'p> {
    previous_delay: Option<Duration>,
    /// A retry whose attempt has not begun.
    scheduled: Option<Scheduled>,
    around: Around,
    stop: Option<OwnStop<'p>>,
    /// A rejection of the attempt that waits.
    #[cfg(feature = "tokio")]
    rejection: Option<trace::Suspended>,
}

/// A retry that is scheduled. Dropped before it begins, it goes back to the budget.
#[derive(Debug)]
struct Scheduled(Option<Shared>);

impl Drop for Scheduled {
    fn drop(&mut self) {
        if let Some(Shared(budget)) = self.0 {
            budget.put_back();
        }
    }
}

/// The signal that ends the attempts.
struct OwnStop<'p> {
    signal: &'p dyn Stop,
    /// Passes it on to the waits inside of an attempt.
    relay: Arc<Relay>,
    /// Waits for the signal during an attempt.
    stopped: Pin<Box<dyn Future<Output = ()> + Send + 'p>>,
}

impl<'p> Attempts<'p> {
    /// Before the first attempt of a task.
    #[inline]
    #[must_use]
    pub fn of_task(policy: &'p RetryPolicy) -> Self {
        Self::by(Clock::Task, policy)
    }

    /// Before the first attempt of a task, with the scope in which its future was created.
    #[cfg(feature = "tokio")]
    pub(super) async fn of_task_in(created: Created, policy: &'p RetryPolicy) -> Self {
        let mut attempts = Self::by(Clock::Task, policy);
        let found = created.found().await;
        if attempts.surroundings == Surroundings::New && found.is_nothing() {
            attempts.surroundings = Surroundings::Alone;
        } else {
            attempts.settle(found);
        }
        attempts
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
        let is_plain = policy.max_elapsed.is_none();
        let surroundings = if is_plain { Surroundings::New } else { Surroundings::Unread };
        let state = match (policy.statistics.is_some(), is_plain) {
            (true, _) => State::Waiting,
            (false, true) => State::Done,
            (false, false) => State::Held,
        };
        let rare = ManuallyDrop::new(None);
        Self { policy, started, rare, made: 0, clock, is_nested: false, surroundings, state }
    }

    /// Takes over what is around the call.
    fn settle(&mut self, Found { is_attempt, is_settled, around }: Found) {
        self.is_nested = is_attempt;
        self.go_to(if is_settled { Surroundings::Settled } else { Surroundings::Open });
        if let Some(around) = around {
            self.rare().around = *around;
        }
    }

    /// Reads what is around a call of a thread. That does not change while the call is made.
    #[cold]
    fn settle_by_thread(&mut self) {
        if self.surroundings != Surroundings::Settled {
            self.settle(Innermost::get().found_by_thread());
        }
    }

    /// Reads what is around a call that a task polls.
    #[cfg(feature = "tokio")]
    fn settle_by_task(&mut self, context: &Context<'_>) {
        match self.surroundings {
            Surroundings::New | Surroundings::Unread | Surroundings::Open => {
                let innermost = Innermost::get();
                if innermost.is_nothing() {
                    self.go_to(Surroundings::Settled);
                } else {
                    self.settle(innermost.found_by_task(context));
                }
            }
            Surroundings::Alone | Surroundings::Settled => self.go_to(Surroundings::Settled),
        }
    }

    /// Notes what is known from now on, which is not plain.
    fn go_to(&mut self, surroundings: Surroundings) {
        self.surroundings = surroundings;
        if self.state == State::Done {
            self.state = State::Held;
        }
    }

    /// Leaves the path of a call that succeeds at its first attempt and does not wait.
    fn leave_plain(&mut self) {
        match (self.clock, self.surroundings) {
            (Clock::Thread, _) => self.settle_by_thread(),
            // The first poll has found nothing: else it would have left this path.
            (Clock::Task, Surroundings::New | Surroundings::Alone) => self.go_to(Surroundings::Settled),
            (Clock::Task, _) => {}
        }
    }

    /// Ends the attempts when the signal is given, and the waits inside of them.
    pub fn stop_on(&mut self, signal: &'p dyn Stop) {
        let stop = OwnStop { signal, relay: Arc::default(), stopped: signal.stopped() };
        self.rare().stop = Some(stop);
        self.go_to(match self.surroundings {
            Surroundings::New => Surroundings::Unread,
            Surroundings::Alone => Surroundings::Settled,
            other => other,
        });
    }

    /// The box. There is none while the surroundings are plain.
    fn rare(&mut self) -> &mut Extras<'p> {
        self.rare.get_or_insert_default()
    }

    fn around(&self) -> Option<&Around> {
        self.rare.as_ref().map(|rare| &rare.around)
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, made: u32) {
        self.made = made;
        self.go_to(Surroundings::Settled);
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
    pub fn within<R>(&mut self, policy: &RetryPolicy, call: impl FnOnce() -> R) -> R {
        self.within_first(policy, true, call)
    }

    /// The same where it is known of a further attempt that it is one.
    #[inline]
    pub(super) fn within_first<R>(&mut self, policy: &RetryPolicy, is_first: bool, call: impl FnOnce() -> R) -> R {
        self.begin(policy);
        let _scope = if is_first && self.surroundings.is_plain() { ThreadScope::plain() } else { self.enter_noted() };
        #[cfg(feature = "rt-multi-thread")]
        let _polled = Polled::note();
        #[cfg(feature = "tracing")]
        let _span = self.span().map(tracing::Span::entered);
        trace::forget();
        call()
    }

    /// The same for an attempt that is made in a task.
    #[cfg(feature = "tokio")]
    #[inline]
    #[must_use]
    pub fn scope<'a, F>(&'a mut self, call: Pin<&'a mut F>) -> Scoped<'a, 'p, F> {
        if self.state != State::Done {
            self.begin(self.policy);
        }
        #[cfg(feature = "tracing")]
        let span = self.span();
        let scoped = Scoped::new(self, call);
        #[cfg(feature = "tracing")]
        let scoped = scoped.traced(span);
        scoped
    }

    /// Counts the attempt that comes.
    #[inline]
    fn begin(&mut self, policy: &RetryPolicy) {
        if let Some(Counted(statistics)) = policy.statistics {
            statistics.count_attempt();
            self.state = State::Running;
        }
    }

    /// Counts the retry that was scheduled, if one was. One that a layer inside rejects was made, too.
    #[cold]
    fn begin_retry(&mut self) {
        let Some(rare) = self.rare.as_mut() else { return };
        let Some(scheduled) = rare.scheduled.take() else { return };
        mem::forget(scheduled);
        let delay = rare.previous_delay.unwrap_or_default();
        if let Some(Counted(statistics)) = self.policy.statistics {
            statistics.count_retry(delay);
        }
        #[cfg(feature = "metrics")]
        crate::metrics::record_delay(self.policy.name, delay);
    }

    /// Notes that the call waits from now on.
    #[inline(never)]
    pub(super) fn suspend(&mut self) {
        self.leave_plain();
        if self.state == State::Running {
            self.state = State::Waiting;
        }
    }

    /// Enters the attempt that a task polls.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn enter(&mut self, context: &mut Context<'_>) -> Scope {
        trace::forget();
        if self.surroundings.is_plain()
            && let Some(scope) = Scope::alone(context, Innermost::ATTEMPT)
        {
            return scope;
        }
        self.enter_more(context)
    }

    /// The same where there is something around the call, or to know of it, or to restore; or it has waited.
    #[cfg(feature = "tokio")]
    #[inline(never)]
    fn enter_more(&mut self, context: &mut Context<'_>) -> Scope {
        self.settle_by_task(context);
        if let Some(rejection) = self.rare.as_mut().and_then(|rare| rare.rejection.take()) {
            trace::restore(rejection);
        }
        if self.state == State::Waiting {
            self.state = State::Running;
        }
        let is_open = self.surroundings == Surroundings::Open;
        let innermost = if is_open { Innermost::ATTEMPT.with(Innermost::OPEN) } else { Innermost::ATTEMPT };
        let around = if self.is_noted() { Some(self.noted_by_task(context)) } else { None };
        if around.is_none()
            && let Some(scope) = Scope::alone(context, innermost)
        {
            return scope;
        }
        Scope::within(context, innermost, around)
    }

    /// Notes that the attempt waits from now on.
    #[cfg(feature = "tokio")]
    #[inline(never)]
    pub(super) fn suspend_attempt(&mut self) {
        self.suspend();
        if let Some(rejection) = trace::suspend() {
            self.rare().rejection = Some(rejection);
        }
    }

    /// The span of the attempt that comes, if it is a further one.
    #[cfg(feature = "tracing")]
    #[inline]
    fn span(&self) -> Option<tracing::Span> {
        if self.made == 0 { None } else { crate::trace::attempt(self.name(), self.made.saturating_add(1)) }
    }

    /// Returns true if there is something that calls inside of the attempt have to know, beside that it is one.
    #[cfg(feature = "tokio")]
    fn is_noted(&self) -> bool {
        self.made > 0 || self.policy.max_elapsed.is_some() || self.rare.is_some()
    }

    /// What calls inside of the attempt have to know.
    fn noted(&self) -> Around {
        let mut around = self.around().cloned().unwrap_or_default();
        if self.made > 0 {
            around.retried = Some(Retried(self.name()));
        }
        if let Some(limit) = self.policy.max_elapsed {
            around = around.until(Deadline::new(self.started, limit, self.clock));
        }
        around.signals.extend(self.own_stop().map(|stop| stop.relay.clone()));
        around
    }

    /// Enters an attempt of a thread of which there is something to know. The thread cannot wait for the signal itself.
    #[cold]
    #[inline(never)]
    fn enter_noted(&mut self) -> ThreadScope {
        self.settle_by_thread();
        self.begin_retry();
        if let Some(stop) = self.rare.as_mut().and_then(|rare| rare.stop.as_mut()) {
            // Another relay for each attempt: what has woken the one before may have been no signal.
            *stop = OwnStop { signal: stop.signal, relay: Arc::default(), stopped: stop.signal.stopped() };
            let waker = Waker::from(stop.relay.clone());
            stop.pass_on(&mut Context::from_waker(&waker));
        }
        ThreadScope::noted(self.noted())
    }

    /// The same, while the task waits for the signal as well.
    #[cfg(feature = "tokio")]
    #[cold]
    fn noted_by_task(&mut self, context: &mut Context<'_>) -> Around {
        self.begin_retry();
        if let Some(stop) = self.rare.as_mut().and_then(|rare| rare.stop.as_mut())
            && !stop.relay.is_given()
        {
            // Code that is not `async` may block the thread within this poll, so the signal itself has to reach the waits below.
            let waker = Waker::from(Arc::new(Both { relay: stop.relay.clone(), task: context.waker().clone() }));
            stop.pass_on(&mut Context::from_waker(&waker));
        }
        self.noted()
    }

    fn own_stop(&self) -> Option<&OwnStop<'p>> {
        self.rare.as_ref()?.stop.as_ref()
    }

    /// Returns true if a signal of this retry or of one around it is given.
    fn is_stopped(&self) -> bool {
        self.own_stop().is_some_and(|stop| stop.signal.is_stopped()) || self.around().is_some_and(Around::is_stopped)
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
    pub fn after(&mut self, policy: &RetryPolicy, verdict: Verdict, passage: Disposition) -> Option<Duration> {
        if verdict == Verdict::Success && self.is_plain_success(policy) {
            return None;
        }
        let delay = self.after_more(verdict, passage.is_called())?;
        self.schedule(delay, passage.left_open())
    }

    /// Counts a success, if it is one that needs no more than that. Without a name it needs not even a count.
    #[allow(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn is_plain_success(&mut self, policy: &RetryPolicy) -> bool {
        if self.state == State::Done {
            return true;
        }
        let is_plain = self.surroundings.is_plain();
        if is_plain {
            self.succeed(policy);
        }
        is_plain
    }

    /// Counts a success of the first attempt, for which there is no box.
    #[inline]
    fn succeed(&mut self, policy: &RetryPolicy) {
        if let Some(Counted(statistics)) = policy.statistics {
            statistics.count_first_success();
        }
        self.state = State::Done;
    }

    /// After anything but a success of the first attempt that needs no more than a count.
    #[cold]
    #[inline(never)]
    fn after_more(&mut self, verdict: Verdict, is_called: bool) -> Option<Duration> {
        if self.made == 0 && verdict == Verdict::Success {
            self.succeed(self.policy);
            self.state = State::Held;
            return None;
        }
        self.leave_plain();
        self.begin_retry(); // it is counted by now, unless a breaker has rejected it
        if let (false, State::Running, Some(Counted(statistics))) = (is_called, self.state, self.policy.statistics) {
            statistics.take_attempt_back();
        }
        let rejected = if is_called { trace::last() } else { None };
        let verdict = match (verdict, rejected) {
            (Verdict::Transient { .. } | Verdict::Final | Verdict::Rejected, Some(Rejection { retry_after })) => {
                Verdict::rejected(retry_after, self.policy.retries_rejections)
            }
            // Made elsewhere, on another thread for instance: its wait is not known.
            (Verdict::Rejected, None) if is_called && self.policy.retries_rejections => {
                Verdict::Transient { retry_after: None }
            }
            (verdict, _) => verdict,
        };
        match verdict {
            Verdict::Success => self.after_success(),
            Verdict::Final => self.after_final(),
            Verdict::Rejected => self.after_rejection(),
            Verdict::Transient { retry_after } | Verdict::Wanted { retry_after } => self.after_transient(retry_after),
        }
    }

    /// After an attempt of a thread: whether there is another. Then it has slept until that one.
    #[allow(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    pub fn again(&mut self, policy: &RetryPolicy, verdict: Verdict, passage: Disposition) -> bool {
        if verdict == Verdict::Success && self.surroundings.is_plain() {
            self.succeed(policy);
            return false;
        }
        self.again_after(verdict, passage)
    }

    #[cold]
    #[inline(never)]
    fn again_after(&mut self, verdict: Verdict, passage: Disposition) -> bool {
        let delay = self.after_more(verdict, passage.is_called());
        let delay = delay.and_then(|delay| self.schedule(delay, passage.left_open()));
        delay.is_some_and(|delay| !self.pause_thread(delay))
    }

    /// Sleeps on the thread until a signal is given. Returns true if that is the end.
    #[cold]
    #[must_use]
    pub fn pause_thread(&mut self, delay: Duration) -> bool {
        self.suspend();
        if !delay.is_zero() {
            self.tell_of_blocking();
        }
        match self.own_stop() {
            Some(stop) => _ = wait::on_thread(pin!(stop.signal.stopped()), delay),
            None => wait::sleep_on_thread(delay),
        }
        self.ends()
    }

    /// Sleeps in the task until a signal is given.
    #[cfg(feature = "tokio")]
    #[cold]
    #[must_use]
    pub fn pause(&mut self, delay: Duration) -> Pause<'p> {
        self.suspend();
        let (own, around) = (self.own_stop().map(|stop| stop.signal), self.around());
        match (own, around.map(|around| around.signals.clone()).unwrap_or_default()) {
            (None, signals) if signals.is_empty() => Pause::for_all_of(delay),
            (own, signals) => Pause::until(delay, Box::pin(given(own, signals))),
        }
    }

    /// Returns true if a signal ends the attempts after a sleep.
    #[cold]
    #[must_use]
    pub fn ends(&mut self) -> bool {
        let stopped = self.is_stopped();
        if stopped {
            self.stopped();
        }
        stopped
    }

    /// Returns true if a signal further out can end a sleep.
    #[cold]
    #[must_use]
    pub fn can_be_stopped(&self) -> bool {
        self.around().is_some_and(|around| !around.signals.is_empty())
    }

    /// The outcome of the last attempt, if a signal ends the attempts after a sleep and the outcome was kept.
    ///
    /// Without the outcome there has to be another attempt, which then is the last.
    #[cold]
    pub fn ends_with<L: LastOutcome>(&mut self, last: L) -> Option<L::Outcome> {
        if !self.is_stopped() {
            return None;
        }
        let outcome = last.take();
        if outcome.is_some() {
            self.stopped();
        }
        outcome
    }

    /// Tells that the thread is about to be blocked, if that holds up tasks.
    #[allow(clippy::unused_self, reason = "with the feature it is used")]
    fn tell_of_blocking(&self) {
        #[cfg(feature = "rt-multi-thread")]
        blocking::tell(self.policy.name);
    }

    /// Counts the end of the call, once.
    fn count(&mut self, end: End) {
        if let (true, Some(Counted(statistics))) = (self.state.is_counted(), self.policy.statistics) {
            statistics.count(end, self.made == 0);
        }
        self.state = State::Held;
    }

    fn after_final(&mut self) -> Option<Duration> {
        self.count(End::NotTransient);
        None
    }

    /// After an attempt that was none.
    fn after_rejection(&mut self) -> Option<Duration> {
        let (retry, attempt) = (self.policy.name, self.made.saturating_add(1));
        self.count(End::Rejected);
        events::tell(|| Event::RetryRejected { retry, attempt });
        None
    }

    /// A success that is not the first attempt's.
    fn after_success(&mut self) -> Option<Duration> {
        let (retry, attempts) = (self.policy.name, self.made.saturating_add(1));
        self.count(End::RetriedSuccess);
        events::tell(|| Event::RetrySucceeded { retry, attempts });
        None
    }

    #[cold]
    fn stopped(&mut self) {
        let (retry, attempts) = (self.policy.name, self.made);
        if let Some(rare) = self.rare.as_mut() {
            rare.scheduled = None;
        }
        self.count(End::Stopped);
        events::tell(|| Event::RetryStopped { retry, attempts });
    }

    fn exhausted(&mut self) -> Option<Duration> {
        let (retry, attempts) = (self.policy.name, self.made);
        self.count(End::Exhausted);
        events::tell(|| Event::RetriesExhausted { retry, attempts });
        None
    }

    fn after_transient(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let (policy, is_last) = (self.policy, self.is_last(self.policy));
        self.made = self.made.saturating_add(1);
        if self.is_stopped() {
            self.stopped();
            return None;
        }
        if is_last || (policy.nested == Nested::Inherit && self.is_nested) {
            return self.exhausted();
        }
        let elapsed = self.elapsed();
        let previous = self.rare.as_ref().and_then(|rare| rare.previous_delay);
        let retry = RetryContext { attempt: self.made, previous, elapsed, hint: retry_after };
        let delay = policy.schedule.delay(&retry, policy.jitter, random::up_to);
        self.rare().previous_delay = Some(delay);
        let too_late = policy.max_elapsed.is_some_and(|limit| elapsed.saturating_add(delay) > limit);
        if too_late || self.around().is_some_and(|around| around.ends_too_late(delay)) {
            return self.exhausted();
        }
        Some(delay)
    }

    /// Tells of the attempt that comes after this delay, if the budget has it; or gives no delay before what will be rejected.
    #[cold]
    #[inline(never)]
    fn schedule(&mut self, delay: Duration, left_open: Option<Duration>) -> Option<Duration> {
        if !is_worth(delay, left_open) {
            return Some(Duration::ZERO);
        }
        let (policy, retry, attempt) = (self.policy, self.policy.name, self.made);
        if let Some(outer) = self.around().and_then(|around| around.retried) {
            nested::tell(outer, retry);
        }
        if policy.budget.is_some_and(|Shared(budget)| !budget.withdraw(clock::now())) {
            self.count(End::Denied);
            events::tell(|| Event::BudgetDenied { retry, attempts: attempt });
            return None;
        }
        self.rare().scheduled = Some(Scheduled(policy.budget));
        events::tell(|| Event::RetryScheduled { retry, attempt, delay });
        Some(delay)
    }
}

/// Counts a call that ends without an outcome. That of a thread has panicked; that of a task may have been dropped.
impl Drop for Attempts<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.state != State::Done {
            self.finish();
        }
    }
}

impl Attempts<'_> {
    #[cold]
    #[inline(never)]
    fn finish(&mut self) {
        if self.state.is_counted() {
            let has_panicked = matches!(self.clock, Clock::Thread) || self.state == State::Running;
            self.count(if has_panicked { End::Panicked } else { End::Cancelled });
        }
        drop(self.rare.take());
    }
}

/// Gives a signal to the waits inside of an attempt, and wakes the task of the attempt.
#[cfg(feature = "tokio")]
struct Both {
    relay: Arc<Relay>,
    task: Waker,
}

#[cfg(feature = "tokio")]
impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.relay.give();
        self.task.wake_by_ref();
    }
}

impl OwnStop<'_> {
    /// Gives the signal to the waits inside of an attempt, once it is given.
    fn pass_on(&mut self, context: &mut Context<'_>) {
        if self.stopped.as_mut().poll(context).is_ready() {
            self.relay.give();
        }
    }
}

impl fmt::Debug for OwnStop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnStop").field("is_stopped", &self.signal.is_stopped()).finish_non_exhaustive()
    }
}
