//! The attempts of one call.
//!
//! This file contains the fast path: a call that succeeds at its first attempt. The rest is cold: [`decision`] decides after an attempt
//! whether to make another one, [`accounting`] counts and emits events, [`scope`] publishes attempts to the calls inside them, and
//! [`sleep`] waits between attempts or until a stop signal is set.

mod accounting;
#[cfg(feature = "rt-multi-thread")]
mod blocking;
mod decision;
#[cfg(feature = "tokio")]
mod pause;
mod scope;
mod sleep;

#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::{mem::ManuallyDrop, sync::Arc, time::Duration};

use self::{
    accounting::{RetryInFlight, ScheduledRetry},
    sleep::OwnStop,
};
#[cfg(feature = "tokio")]
pub use self::{pause::Pause, scope::AttemptFuture};
use super::RetryPolicy;
#[cfg(feature = "rt-multi-thread")]
use crate::stack::AttemptTask;
#[cfg(feature = "tokio")]
use crate::stack::{CreationScope, LastRejection};
use crate::{
    by_address::ByAddress,
    clock::Moment,
    durations::Ended,
    stack::{Deadline, EnclosingRetries, SleepClock, ThreadScope, clear_rejection},
};

/// The attempts of one call under a policy: counts them, and decides after each attempt whether to make another one.
///
/// Not generic, so that hundreds of annotated functions share the same code.
///
/// **Invariant:** a call that succeeds at its first attempt costs a comparison and entering and leaving its scope. A policy that needs the
/// elapsed time, for instance for `max_elapsed`, adds a reading of the clock; a name and a budget add a count each. To achieve this, each
/// method on the success path takes the policy as an argument. Generated code passes it as a constant, so that the compiler removes the
/// code that the policy does not use: 32 instead of 54 instructions for a successful call (callgrind, as in `benches/instructions.toml`).
#[derive(Debug)]
pub struct Attempts<'p> {
    policy: &'p RetryPolicy,
    /// The start of the first attempt, if the policy has a name or [reads the clock](RetryPolicy::reads_clock); otherwise
    /// [`Moment::NONE`].
    started: Moment,
    /// Boxed, since futures contain this struct. `ManuallyDrop`, since only [`finish`](Self::finish) frees the box, off the fast path: this
    /// saves 14 of the 44 instructions of a successful call.
    extras: ManuallyDrop<Option<Box<Extras<'p>>>>,
    /// The earliest deadline of the enclosing calls.
    deadline: Option<Deadline>,
    /// The number of attempts that have failed.
    made: u32,
    clock: SleepClock,
    /// True if the call is part of an attempt of another retry.
    is_nested: bool,
    lookup: ScopeLookup,
    on_drop: OnDrop,
}

/// The progress of looking up the scope around the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScopeLookup {
    /// Not looked up; the call is on the fast path. It is in its first attempt, has not been suspended, and has no `max_elapsed`, no stop
    /// signal and no extras.
    FastPath,
    /// Looked up and empty; the call is on the fast path, and has been suspended at most if its end is not counted. This state saves a
    /// successful `RetryPolicy::run_async` 115 of 349 instructions, and a call that waits once 190 of 404.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only futures are created before they run"))]
    FastPathEmpty,
    /// Not looked up; the call is not on the fast path.
    Pending,
    /// Looked up, but the next poll may find more.
    Incomplete,
    /// Looked up; later polls find the same scope.
    Complete,
}

impl ScopeLookup {
    #[inline]
    const fn is_fast_path(self) -> bool {
        matches!(self, Self::FastPath | Self::FastPathEmpty)
    }
}

/// The work to be done when an [`Attempts`] is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDrop {
    /// Does nothing: there are no extras, the call has succeeded or no attempt has failed, and the end of the call has been counted or is
    /// never counted.
    Nothing,
    /// Frees the extras. The end of the call has been counted or is never counted.
    FreeExtras,
    /// Counts the call as cancelled, or as panicked if it is not `async`. The call is before its first attempt, between two attempts, or in
    /// a task that is not being polled.
    CountWaiting,
    /// Counts the call as panicked. An attempt is running, or the decision after an attempt.
    CountRunning,
}

impl OnDrop {
    const fn is_counted(self) -> bool {
        matches!(self, Self::CountWaiting | Self::CountRunning)
    }
}

/// The state of a call that has a stop signal or enclosing retries, or whose policy or event receivers need it after a failed attempt.
#[derive(Debug, Default)]
struct Extras<'p> {
    /// The delay before the attempt that is being made, if the schedule or the count of retries needs it.
    previous_delay: Option<Duration>,
    /// The start of the attempt that is being made, if it is not the first and the policy has a name.
    attempt_started: Option<Moment>,
    /// The scheduled retry whose attempt has not begun, if retries are [tracked](RetryPolicy::tracks_retries).
    scheduled: Option<ScheduledRetry>,
    /// The retry whose attempt is being made, if the policy has a budget.
    in_flight: Option<RetryInFlight>,
    /// The text of the last error, for the event of a stop during the sleep; `None` if events have no receiver.
    last_error: Option<Arc<str>>,
    enclosing: EnclosingRetries,
    stop: Option<OwnStop<'p>>,
    /// The last rejection by a breaker inside the attempt, saved while the attempt is suspended.
    #[cfg(feature = "tokio")]
    rejection: Option<LastRejection>,
}

impl<'p> Attempts<'p> {
    /// Begins a call in a task.
    #[inline]
    #[must_use]
    pub fn of_task(policy: &'p RetryPolicy) -> Self {
        Self::new(SleepClock::Task, policy)
    }

    /// Begins a call in a task. `created` is the scope in which the future of the call was created.
    #[cfg(feature = "tokio")]
    pub(super) async fn of_task_in(created: CreationScope, policy: &'p RetryPolicy) -> Self {
        let mut attempts = Self::new(SleepClock::Task, policy);
        let found = created.found().await;
        if attempts.lookup == ScopeLookup::FastPath && found.is_empty() {
            attempts.lookup = ScopeLookup::FastPathEmpty;
        } else {
            attempts.store_scope(found);
        }
        attempts
    }

    /// Begins a call in code that is not `async`.
    #[inline]
    #[must_use]
    pub fn of_thread(policy: &'p RetryPolicy) -> Self {
        Self::new(SleepClock::Thread, policy)
    }

    #[inline]
    fn new(clock: SleepClock, policy: &'p RetryPolicy) -> Self {
        let reads_clock = policy.reads_clock() || policy.statistics.is_some();
        let started = if reads_clock { clock.read() } else { Moment::NONE };
        if let Some(ByAddress(budget)) = policy.budget {
            budget.count_call();
        }
        let is_fast_path = policy.max_elapsed.is_none();
        let lookup = if is_fast_path { ScopeLookup::FastPath } else { ScopeLookup::Pending };
        let on_drop = match (policy.statistics.is_some(), is_fast_path) {
            (true, _) => OnDrop::CountWaiting,
            (false, true) => OnDrop::Nothing,
            (false, false) => OnDrop::FreeExtras,
        };
        let extras = ManuallyDrop::new(None);
        Self { policy, started, extras, deadline: None, made: 0, clock, is_nested: false, lookup, on_drop }
    }

    /// The policy of the call.
    #[inline]
    #[must_use]
    pub const fn policy(&self) -> &'p RetryPolicy {
        self.policy
    }

    /// The number of attempts that have failed, as of the last call of [`delay_after`](Self::delay_after).
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// Returns true if the next attempt is the last that the policy allows.
    #[inline]
    #[must_use]
    pub const fn is_last(&self, policy: &RetryPolicy) -> bool {
        // For unlimited attempts the left side is `u32::MAX`, which is not reached in practice.
        policy.max_attempts.wrapping_sub(1) == self.made
    }

    /// The time since the first attempt began; zero if the policy does not read the clock.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        if self.policy.reads_clock() { self.clock.read().since(self.started) } else { Duration::ZERO }
    }

    pub(super) const fn name(&self) -> Option<&'static str> {
        self.policy.name
    }

    /// Makes the next attempt in code that is not `async`.
    #[inline]
    pub fn within<R>(&mut self, policy: &RetryPolicy, call: impl FnOnce() -> R) -> R {
        self.within_first(policy, true, call)
    }

    /// Like [`within`](Self::within), but with `may_be_first`, which is false where the attempt cannot be the first one.
    #[inline]
    pub(super) fn within_first<R>(&mut self, policy: &RetryPolicy, may_be_first: bool, call: impl FnOnce() -> R) -> R {
        self.count_attempt(policy);
        let is_plain = may_be_first && self.lookup.is_fast_path();
        let _scope = if is_plain { ThreadScope::enter_plain() } else { self.enter_with_details() };
        #[cfg(feature = "rt-multi-thread")]
        let _task = AttemptTask::enter();
        #[cfg(feature = "tracing")]
        let _span = self.span().map(tracing::Span::entered);
        clear_rejection();
        call()
    }

    /// Makes the next attempt in a task.
    #[cfg(feature = "tokio")]
    #[inline]
    #[must_use]
    pub fn scope<'a, F>(&'a mut self, call: Pin<&'a mut F>) -> AttemptFuture<'a, 'p, F> {
        if self.on_drop != OnDrop::Nothing {
            self.count_attempt(self.policy);
        }
        #[cfg(feature = "tracing")]
        let span = self.span();
        let attempt = AttemptFuture::new(self, call);
        #[cfg(feature = "tracing")]
        let attempt = attempt.traced(span);
        attempt
    }

    /// Ends a call in a task whose last attempt has succeeded.
    ///
    /// The ABI `"C"` has the same reason as that of [`record_success`](crate::breaker::record_success).
    #[allow(
        clippy::inline_always,
        improper_ctypes_definitions,
        reason = "a function call on the success path would save registers, which costs more than everything else there"
    )]
    #[inline(always)]
    pub extern "C" fn succeed(&mut self, policy: &RetryPolicy) {
        // Without a name there is nothing to count.
        if self.on_drop != OnDrop::Nothing {
            self.succeed_on_thread(policy);
        }
    }

    /// Like [`succeed`](Self::succeed), for code that is not `async`.
    #[allow(clippy::inline_always, improper_ctypes_definitions, reason = "as above")]
    #[inline(always)]
    pub extern "C" fn succeed_on_thread(&mut self, policy: &RetryPolicy) {
        if self.lookup.is_fast_path() {
            self.succeed_at_first(policy);
        } else {
            self.succeed_in_detail();
        }
    }

    /// Counts a success of the first attempt. There must be no extras.
    #[inline]
    fn succeed_at_first(&mut self, policy: &RetryPolicy) {
        if let Some(ByAddress(statistics)) = policy.statistics {
            statistics.count_first_success();
            self.record_attempt(Ended::Success);
        }
        self.on_drop = OnDrop::Nothing;
    }

    fn extras_mut(&mut self) -> &mut Extras<'p> {
        self.require_finish();
        self.extras.get_or_insert_default()
    }

    /// Ensures that [`finish`](Self::finish) runs when this is dropped, and that a success does not end the call on the fast path.
    fn require_finish(&mut self) {
        if self.on_drop == OnDrop::Nothing {
            self.on_drop = OnDrop::FreeExtras;
        }
    }

    /// Sets the number of attempts that have failed.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, made: u32) {
        self.made = made;
        self.lookup = ScopeLookup::Complete;
        self.require_finish();
    }
}

impl Drop for Attempts<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.on_drop != OnDrop::Nothing {
            self.finish();
        }
    }
}
