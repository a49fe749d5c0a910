//! The decision after an attempt: whether to make another one, and when.

use std::{ops::ControlFlow, time::Duration};

use super::{Attempts, OnDrop, ScopeLookup};
use crate::{
    durations::Ended,
    events, random,
    retry::{
        backoff::RetryContext,
        error_view::ErrorView,
        nesting::{Nested, emit_nested_retries},
    },
    stack::{Disposition, LastRejection, PackedScope, Verdict, is_worth_waiting},
};

/// A failed attempt.
///
/// Passed as a whole to a function that is not inlined: references to its parts would force those of a success into memory.
struct EndedAttempt<O> {
    outcome: O,
    verdict: Verdict,
    disposition: Disposition,
}

/// The delay that a failed attempt asks for.
#[derive(Clone, Copy)]
enum Hint {
    /// By the error, a lower bound of the delay.
    OfError(Option<Duration>),
    /// By a breaker that rejected the attempt. It is not limited by `max_retry_after`, since the recovery timeout is a setting of the program.
    OfRejection(Option<Duration>),
}

impl Hint {
    /// Returns the hint. An error that asks for no delay, for example by a date that has passed, has none: the backoff stays in force.
    fn duration(self) -> Option<Duration> {
        match self {
            Self::OfError(hint) => hint.filter(|hint| !hint.is_zero()),
            Self::OfRejection(hint) => hint,
        }
    }
}

impl Attempts<'_> {
    /// Ends a call whose last attempt has succeeded, off the fast path.
    #[cold]
    pub(super) fn succeed_in_detail(&mut self) {
        let is_counted = self.policy.statistics.is_some() || events::has_receivers();
        if is_counted || self.extras.is_some() {
            self.scheduled_delay(Verdict::Success, Disposition::Called, ErrorView::NONE);
        } else {
            self.on_drop = OnDrop::Nothing;
        }
    }

    /// Decides after a failed attempt whether to make another one. Returns the delay before the next attempt, or `Err` if the call ends.
    /// `error` returns the error in the outcome for events.
    #[allow(clippy::inline_always, reason = "only the construction of the argument is inlined")]
    #[inline(always)]
    pub fn delay_after<O>(
        &mut self,
        outcome: O,
        verdict: Verdict,
        disposition: Disposition,
        error: fn(&O) -> ErrorView<'_>,
    ) -> Result<(O, Duration), O> {
        self.delay_after_ended(EndedAttempt { outcome, verdict, disposition }, error)
    }

    #[cold]
    #[inline(never)]
    fn delay_after_ended<O>(
        &mut self,
        EndedAttempt { outcome, verdict, disposition }: EndedAttempt<O>,
        error: fn(&O) -> ErrorView<'_>,
    ) -> Result<(O, Duration), O> {
        match self.next_delay(verdict, disposition, || error(&outcome)) {
            Some(delay) => Ok((outcome, delay)),
            None => Err(outcome),
        }
    }

    /// Like [`delay_after`](Self::delay_after) for code that is not `async`: sleeps before the next attempt, or returns the outcome if the
    /// call ends.
    #[cold]
    #[inline(never)]
    pub fn sleep_after<O>(
        &mut self,
        outcome: O,
        verdict: Verdict,
        disposition: Disposition,
        error: impl FnOnce(&O) -> ErrorView<'_>,
    ) -> Option<O> {
        let delay = self.next_delay(verdict, disposition, || error(&outcome));
        let continues = delay.is_some_and(|delay| !self.pause_thread(delay));
        (!continues).then_some(outcome)
    }

    /// Returns the delay before the next attempt, which has been scheduled, or `None` if there is none. `error` returns the error for
    /// events.
    #[inline]
    fn next_delay<'e>(
        &mut self,
        verdict: Verdict,
        disposition: Disposition,
        error: impl FnOnce() -> ErrorView<'e>,
    ) -> Option<Duration> {
        match self.plain_delay(&verdict, &disposition) {
            ControlFlow::Break(delay) => delay,
            ControlFlow::Continue(()) => self.scheduled_delay(verdict, disposition, error()),
        }
    }

    /// Like [`scheduled_delay`](Self::scheduled_delay) for a call that has nothing to count, emit, withdraw or look up; `Continue` for any
    /// other call.
    ///
    /// Without this method, a call that succeeds at its second attempt takes 412 instead of 317 instructions.
    #[inline(never)]
    fn plain_delay(&mut self, verdict: &Verdict, disposition: &Disposition) -> ControlFlow<Option<Duration>> {
        let is_plain = self.extras.is_none()
            && self.deadline.is_none()
            && matches!(disposition, Disposition::Called | Disposition::TimedOut)
            && self.policy.is_plain()
            && PackedScope::current().is_empty()
            && !LastRejection::exists()
            && !events::has_receivers();
        let is_last = self.is_last(self.policy);
        let hint = match *verdict {
            _ if !is_plain => return ControlFlow::Continue(()),
            Verdict::Final => None,
            // The event of exhausted retries is a warning, which more receivers want than other events of retries.
            Verdict::Transient { .. } if is_last && events::has_subscribers() => return ControlFlow::Continue(()),
            // The event of a hint that is too long is such a warning, too.
            Verdict::Transient { retry_after: Some(hint) } if hint > self.policy.max_retry_after => {
                return ControlFlow::Continue(());
            }
            Verdict::Transient { retry_after } => Some(Hint::OfError(retry_after).duration()),
            Verdict::Success | Verdict::Rejected | Verdict::RetriedRejection { .. } => return ControlFlow::Continue(()),
        };
        self.lookup = ScopeLookup::Complete;
        self.on_drop = OnDrop::FreeExtras;
        let Some(hint) = hint else { return ControlFlow::Break(None) };
        self.made = self.made.saturating_add(1);
        ControlFlow::Break((!is_last).then(|| {
            let retry = RetryContext { attempt: self.made, previous: None, elapsed: Duration::ZERO, hint, error: None };
            self.policy.schedule.delay(&retry, self.policy.jitter, Duration::MAX, random::up_to)
        }))
    }

    /// Returns the delay before the next attempt, which has been scheduled, or `None` if there is none.
    #[inline(never)]
    fn scheduled_delay(
        &mut self,
        verdict: Verdict,
        disposition: Disposition,
        error: ErrorView<'_>,
    ) -> Option<Duration> {
        let delay = self.decide(verdict, disposition.is_called(), error)?;
        self.schedule(delay, disposition.open_for(), error)
    }

    /// Returns the delay before the next attempt, or `None` if there is none.
    fn decide(&mut self, verdict: Verdict, is_called: bool, error: ErrorView<'_>) -> Option<Duration> {
        if self.made == 0 && verdict == Verdict::Success {
            self.succeed_at_first(self.policy);
            self.on_drop = OnDrop::FreeExtras;
            return None;
        }
        self.leave_fast_path();
        self.count_retry(); // has been counted, unless a layer rejected the attempt before it was entered
        self.end_retry();
        if is_called {
            self.record_attempt(if verdict == Verdict::Success { Ended::Success } else { Ended::Failure });
        } else {
            self.count_rejected_attempt();
        }
        match self.recognise_rejection(verdict, is_called) {
            Verdict::Success => self.count_retried_success(),
            Verdict::Final => self.count_final_failure(),
            Verdict::Rejected => self.count_rejection(error),
            Verdict::Transient { retry_after } => return self.decide_after_failure(Hint::OfError(retry_after), error),
            Verdict::RetriedRejection { retry_after } => {
                return self.decide_after_failure(Hint::OfRejection(retry_after), error);
            }
        }
        None
    }

    /// Returns the verdict on the rejection that caused the error, if a breaker inside the attempt rejected the call; otherwise `verdict`.
    fn recognise_rejection(&self, verdict: Verdict, is_called: bool) -> Verdict {
        if !is_called || matches!(verdict, Verdict::Success | Verdict::RetriedRejection { .. }) {
            return verdict;
        }
        match LastRejection::current() {
            Some(rejection) => Verdict::rejected(rejection.retry_after(), self.policy.retries_rejections),
            // A rejection without a record on this thread, for instance one by another thread. Its `retry_after` is not known.
            None if verdict == Verdict::Rejected && self.policy.retries_rejections => {
                Verdict::Transient { retry_after: None }
            }
            None => verdict,
        }
    }

    /// Decides after a failure that may be retried.
    fn decide_after_failure(&mut self, hint: Hint, error: ErrorView<'_>) -> Option<Duration> {
        let is_last = self.is_last(self.policy);
        self.made = self.made.saturating_add(1);
        self.require_finish();
        if self.is_stopped() {
            self.count_stop(error);
            return None;
        }
        if is_last || (self.policy.nested == Nested::Inherit && self.is_nested) {
            self.count_exhaustion(error, None);
            return None;
        }
        if let Hint::OfError(Some(hint)) = hint
            && hint > self.policy.max_retry_after
        {
            self.count_exhaustion(error, Some(hint));
            return None;
        }
        let elapsed = self.elapsed();
        let delay = self.compute_delay(elapsed, hint, error).filter(|delay| !self.is_out_of_time(elapsed, *delay));
        if delay.is_none() {
            self.count_exhaustion(error, None);
        }
        delay
    }

    /// Returns the delay before the next attempt; `None` if a custom backoff ends the retry.
    fn compute_delay(&mut self, elapsed: Duration, hint: Hint, error: ErrorView<'_>) -> Option<Duration> {
        let previous = self.extras.as_ref().and_then(|extras| extras.previous_delay);
        let (policy, schedule) = (self.policy, self.policy.schedule);
        let retry = RetryContext { attempt: self.made, previous, elapsed, hint: hint.duration(), error: error.error() };
        if !schedule.should_retry(&retry) {
            return None;
        }
        let delay = match hint {
            // The breaker spreads the calls that it admits.
            Hint::OfRejection(Some(wait)) if !schedule.is_custom() => wait,
            _ => schedule.delay(&retry, policy.jitter, self.remaining(elapsed), random::up_to),
        };
        if schedule.needs_previous() || policy.tracks_retries() {
            self.extras_mut().previous_delay = Some(delay);
        }
        Some(delay)
    }

    /// Returns the time until `max_elapsed` or the deadline of an enclosing call.
    fn remaining(&self, elapsed: Duration) -> Duration {
        let own = self.policy.max_elapsed.map_or(Duration::MAX, |limit| limit.saturating_sub(elapsed));
        self.deadline.map_or(own, |deadline| own.min(deadline.remaining()))
    }

    /// Returns true if the delay would end after `max_elapsed` or after the deadline of an enclosing call.
    fn is_out_of_time(&self, elapsed: Duration, delay: Duration) -> bool {
        self.policy.max_elapsed.is_some_and(|limit| elapsed.saturating_add(delay) > limit)
            || self.deadline.is_some_and(|deadline| deadline.is_before_end_of(delay))
    }

    /// Withdraws the next attempt from the budget and emits its event. Returns the delay before the attempt, or `None` if the budget denies
    /// it.
    ///
    /// If the circuit will still be open after the delay, the next attempt will be rejected in any case. It is then made at once, without a
    /// withdrawal from the budget.
    fn schedule(&mut self, delay: Duration, open_for: Option<Duration>, error: ErrorView<'_>) -> Option<Duration> {
        if !is_worth_waiting(delay, open_for) {
            return Some(Duration::ZERO);
        }
        if let Some(outer) = self.extras.as_ref().and_then(|extras| extras.enclosing.retrying) {
            emit_nested_retries(outer, self.policy.name);
        }
        self.withdraw(delay, error).then_some(delay)
    }
}
