//! The loops around the decision.

#[cfg(feature = "tokio")]
use std::future::Future;
#[cfg(feature = "tokio")]
use std::pin::pin;
use std::{fmt, marker::PhantomData};

use super::{
    RetryPolicy,
    attempts::Attempts,
    stop::Stop,
    verdict::{Disposition, Verdict},
};
use crate::Transient;
#[cfg(feature = "tokio")]
use crate::scope::Created;

/// A [`RetryPolicy`] with a predicate of its own: see [`RetryPolicy::retry_if`].
pub struct RetryIf<'p, E, P> {
    pub(super) policy: &'p RetryPolicy,
    pub(super) predicate: P,
    pub(super) error: PhantomData<fn(&E)>,
}

impl<'p, E, P: Fn(&E) -> bool> RetryIf<'p, E, P> {
    /// As [`RetryPolicy::stop_on`].
    #[must_use]
    pub fn stop_on(self, stop: &'p dyn Stop) -> RetryUntil<'p, ByPredicate<P>> {
        RetryUntil { policy: self.policy, stop, judge: ByPredicate(self.predicate) }
    }

    /// As [`RetryPolicy::run`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T>(&self, work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        run(self.policy, work, |error| Verdict::transient_if((self.predicate)(error)))
    }

    /// As [`RetryPolicy::run_async`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, F>(&self, work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run_async(self.policy, work, |error| Verdict::transient_if((self.predicate)(error)))
    }
}

impl<E, P> fmt::Debug for RetryIf<'_, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryIf").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A [`RetryPolicy`] that a signal can end: see [`RetryPolicy::stop_on`].
#[derive(Clone, Copy)]
pub struct RetryUntil<'p, J = ByType> {
    pub(super) policy: &'p RetryPolicy,
    pub(super) stop: &'p dyn Stop,
    pub(super) judge: J,
}

/// Which errors are worth another attempt: those that their type calls [`Transient`].
#[derive(Clone, Copy, Debug)]
pub struct ByType;

/// Which errors are worth another attempt: those of which a predicate says so.
#[derive(Clone, Copy, Debug)]
pub struct ByPredicate<P>(P);

/// Says of an error whether it is worth another attempt.
pub trait Judge<E> {
    #[doc(hidden)]
    fn verdict(&self, error: &E) -> Verdict;
}

impl<E: Transient> Judge<E> for ByType {
    fn verdict(&self, error: &E) -> Verdict {
        verdict_of(error)
    }
}

impl<E, P: Fn(&E) -> bool> Judge<E> for ByPredicate<P> {
    fn verdict(&self, error: &E) -> Verdict {
        Verdict::transient_if((self.0)(error))
    }
}

impl<'p> RetryUntil<'p> {
    /// As [`RetryPolicy::retry_if`].
    #[must_use]
    pub const fn retry_if<E, P: Fn(&E) -> bool>(&self, predicate: P) -> RetryUntil<'p, ByPredicate<P>> {
        RetryUntil { policy: self.policy, stop: self.stop, judge: ByPredicate(predicate) }
    }
}

impl<J> RetryUntil<'_, J> {
    /// As [`RetryPolicy::run`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E>(&self, mut work: impl FnMut() -> Result<T, E>) -> Result<T, E>
    where
        J: Judge<E>,
    {
        let mut attempts = Attempts::of_thread(self.policy);
        attempts.stop_on(self.stop);
        loop {
            let outcome = attempts.within(self.policy, &mut work);
            if !attempts.again(self.policy, self.verdict(&outcome), Disposition::Called) {
                return outcome;
            }
        }
    }

    /// As [`RetryPolicy::run_async`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, E, F>(&self, mut work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        J: Judge<E>,
        F: Future<Output = Result<T, E>>,
    {
        let created = Created::here();
        async move {
            let mut attempts = Attempts::of_task_in(created, self.policy).await;
            attempts.stop_on(self.stop);
            loop {
                let outcome = attempts.scope(pin!(work())).await;
                let Some(delay) = attempts.after(self.policy, self.verdict(&outcome), Disposition::Called) else {
                    return outcome;
                };
                attempts.pause(delay).await;
                if attempts.ends() {
                    return outcome;
                }
            }
        }
    }

    fn verdict<T, E>(&self, outcome: &Result<T, E>) -> Verdict
    where
        J: Judge<E>,
    {
        outcome.as_ref().err().map_or(Verdict::Success, |error| self.judge.verdict(error))
    }
}

impl<J> fmt::Debug for RetryUntil<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryUntil").field("policy", &self.policy).finish_non_exhaustive()
    }
}

pub(crate) fn verdict_of<E: Transient + ?Sized>(error: &E) -> Verdict {
    if error.is_transient() {
        return Verdict::Transient { retry_after: error.retry_after() };
    }
    if error.is_rejection() { Verdict::Rejected } else { Verdict::Final }
}

pub(super) fn run<T, E>(
    policy: &RetryPolicy,
    mut work: impl FnMut() -> Result<T, E>,
    judge: impl Fn(&E) -> Verdict,
) -> Result<T, E> {
    let mut attempts = Attempts::of_thread(policy);
    // The compiler takes the first turn out of the loop for that, and so what the others need is not made ready before.
    let mut is_first = true;
    loop {
        let outcome = attempts.within_first(policy, is_first, &mut work);
        is_first = false;
        let verdict = outcome.as_ref().err().map_or(Verdict::Success, &judge);
        if !attempts.again(policy, verdict, Disposition::Called) {
            return outcome;
        }
    }
}

#[cfg(feature = "tokio")]
pub(super) fn run_async<T, E, F>(
    policy: &RetryPolicy,
    mut work: impl FnMut() -> F,
    judge: impl Fn(&E) -> Verdict,
) -> impl Future<Output = Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let created = Created::here();
    async move {
        let mut attempts = Attempts::of_task_in(created, policy).await;
        loop {
            // The outcome is gone before the pause: an error that is not `Send` does not make the future so.
            let delay = {
                let outcome = attempts.scope(pin!(work())).await;
                let verdict = outcome.as_ref().err().map_or(Verdict::Success, &judge);
                match attempts.after(policy, verdict, Disposition::Called) {
                    Some(delay) => delay,
                    None => return outcome,
                }
            };
            attempts.pause(delay).await;
        }
    }
}
