//! Counts attempts and the ends of calls, emits their events, and withdraws retries from the budget.

use std::time::Duration;

use super::{Attempts, OnDrop};
use crate::{
    by_address::ByAddress,
    clock,
    durations::Ended,
    events::{self, Event},
    retry::{
        RetryBudget, RetryPolicy,
        budget::Grant,
        error_view::ErrorView,
        statistics::{End, Statistics},
    },
    stack::SleepClock,
};

/// A scheduled retry, which the budget has granted if the policy has one. Dropping it before its attempt begins refunds it.
#[derive(Debug)]
pub(super) struct ScheduledRetry(Option<(ByAddress<RetryBudget>, Grant)>);

impl Drop for ScheduledRetry {
    fn drop(&mut self) {
        if let Some((ByAddress(budget), grant)) = self.0 {
            budget.refund(grant);
        }
    }
}

/// A retry whose attempt is being made; it is in flight until this is dropped.
#[derive(Debug)]
pub(super) struct RetryInFlight(ByAddress<RetryBudget>);

impl Drop for RetryInFlight {
    fn drop(&mut self) {
        let ByAddress(budget) = self.0;
        budget.land();
    }
}

impl Attempts<'_> {
    /// Counts an attempt that begins.
    #[inline]
    pub(super) fn count_attempt(&mut self, policy: &RetryPolicy) {
        if let Some(ByAddress(statistics)) = policy.statistics {
            statistics.count_attempt();
            if self.made > 0 {
                self.start_attempt();
            }
            self.on_drop = OnDrop::CountRunning;
        }
    }

    /// Records the duration of an attempt that has ended; does nothing if none is being made.
    #[inline]
    pub(super) fn record_attempt(&mut self, ended: Ended) {
        if let Some(ByAddress(statistics)) = self.policy.statistics {
            self.record_attempt_in(statistics, ended);
        }
    }

    #[inline(never)]
    fn record_attempt_in(&mut self, statistics: &Statistics, ended: Ended) {
        let started = match self.made {
            0 => Some(self.started),
            _ => self.extras.as_mut().and_then(|extras| extras.attempt_started.take()),
        };
        if let Some(started) = started {
            let micros = self.clock.read().as_micros().saturating_sub(started.as_micros());
            statistics.record_attempt(ended, micros);
        }
    }

    /// Stores the start of an attempt after the first.
    #[cold]
    fn start_attempt(&mut self) {
        let now = self.clock.read();
        self.extras_mut().attempt_started = Some(now);
    }

    /// Counts an attempt that was rejected, and reverts its count as an attempt if there was one.
    pub(super) fn count_rejected_attempt(&mut self) {
        if let Some(extras) = self.extras.as_mut() {
            extras.attempt_started = None;
        }
        if let Some(ByAddress(statistics)) = self.policy.statistics {
            statistics.count_rejected_attempt(self.on_drop == OnDrop::CountRunning);
        }
    }

    /// Counts a retry when its attempt begins; does nothing if none is scheduled. A retry that a layer below rejects is counted as well.
    pub(super) fn count_retry(&mut self) {
        let Some(extras) = self.extras.as_mut() else { return };
        let Some(mut scheduled) = extras.scheduled.take() else { return };
        // The grant is used: no refund.
        extras.in_flight = scheduled.0.take().map(|(budget, _)| RetryInFlight(budget));
        let delay = extras.previous_delay.unwrap_or_default();
        if let Some(ByAddress(statistics)) = self.policy.statistics {
            statistics.count_retry(delay);
        }
        #[cfg(feature = "metrics")]
        crate::telemetry::record_delay(self.policy.name, delay);
    }

    /// Ends the retry whose attempt has ended.
    pub(super) fn end_retry(&mut self) {
        if let Some(extras) = self.extras.as_mut() {
            extras.in_flight = None;
        }
    }

    /// Withdraws a retry from the budget, if there is one, and emits its event. Returns false if the budget denies the retry, which ends
    /// the call.
    pub(super) fn withdraw(&mut self, delay: Duration, error: ErrorView<'_>) -> bool {
        let (policy, retry, attempt) = (self.policy, self.policy.name, self.made);
        let grant = match policy.budget {
            None => None,
            Some(ByAddress(budget)) => {
                let Some(grant) = budget.withdraw(clock::now()) else {
                    self.count_end(End::Denied);
                    events::emit(|| Event::BudgetDenied { retry, attempts: attempt, error: error.text() });
                    return false;
                };
                Some((ByAddress(budget), grant))
            }
        };
        if policy.tracks_retries() {
            self.extras_mut().scheduled = Some(ScheduledRetry(grant));
        }
        events::emit(|| {
            let error = error.text();
            self.extras_mut().last_error.clone_from(&error);
            Event::RetryScheduled { retry, attempt, delay, error }
        });
        true
    }

    /// Counts a success of an attempt after the first.
    pub(super) fn count_retried_success(&mut self) {
        let (retry, attempts) = (self.policy.name, self.made.saturating_add(1));
        self.count_end(End::RetriedSuccess);
        events::emit(|| Event::RetrySucceeded { retry, attempts });
    }

    pub(super) fn count_final_failure(&mut self) {
        self.count_end(End::NotTransient);
    }

    pub(super) fn count_rejection(&mut self, error: ErrorView<'_>) {
        let (retry, attempt) = (self.policy.name, self.made.saturating_add(1));
        self.count_end(End::Rejected);
        events::emit(|| Event::RetryRejected { retry, attempt, error: error.text() });
    }

    /// Counts a call that ran out of attempts or time. `hint` is the hint of the error if it is longer than `max_retry_after`.
    pub(super) fn count_exhaustion(&mut self, error: ErrorView<'_>, hint: Option<Duration>) {
        let (retry, attempts) = (self.policy.name, self.made);
        self.count_end(End::Exhausted);
        events::emit_warning(|| Event::RetriesExhausted { retry, attempts, hint, error: error.text() });
    }

    /// Counts a call that a stop signal ended after an attempt.
    pub(super) fn count_stop(&mut self, error: ErrorView<'_>) {
        let (retry, attempts) = (self.policy.name, self.made);
        self.count_end(End::Stopped);
        events::emit(|| Event::RetryStopped { retry, attempts, error: error.text() });
    }

    /// Counts a call that a stop signal ended during a sleep, and refunds its scheduled retry.
    #[cold]
    pub(super) fn count_stop_of_sleep(&mut self) {
        let error = self.extras.as_mut().and_then(|extras| {
            extras.scheduled = None;
            extras.last_error.take()
        });
        self.count_stop(ErrorView::of_display(error.as_ref().map(|error| error as _)));
    }

    /// Counts the end of the call, unless it has been counted or is never counted.
    fn count_end(&mut self, end: End) {
        if let (true, Some(ByAddress(statistics))) = (self.on_drop.is_counted(), self.policy.statistics) {
            statistics.count(end, self.made == 0);
        }
        self.on_drop = OnDrop::FreeExtras;
    }

    /// Counts a call that is dropped without an outcome, and frees the extras. Code that is not `async` can only have panicked; a task
    /// may have been cancelled.
    #[cold]
    #[inline(never)]
    pub(super) fn finish(&mut self) {
        if self.on_drop.is_counted() {
            let has_panicked = matches!(self.clock, SleepClock::Thread) || self.on_drop == OnDrop::CountRunning;
            self.record_attempt(if has_panicked { Ended::Failure } else { Ended::Cancelled });
            self.count_end(if has_panicked { End::Panicked } else { End::Cancelled });
        }
        drop(self.extras.take());
    }
}
