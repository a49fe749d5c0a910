//! The loops of [`RetryPolicy`] around [`Attempts`].

#[cfg(feature = "tokio")]
use std::future::Future;
#[cfg(feature = "tokio")]
use std::pin::pin;
use std::{
    fmt::{self, Display},
    marker::PhantomData,
};

use super::{RetryPolicy, attempts::Attempts};
#[cfg(feature = "tokio")]
use crate::stack::CreationScope;
use crate::{
    Transient,
    stack::{Disposition, Verdict},
    stop::Stop,
    transient::verdict_of,
};

/// A [`RetryPolicy`] with a predicate, returned by [`RetryPolicy::retry_if`].
pub struct RetryIf<'p, E, P> {
    pub(super) policy: &'p RetryPolicy,
    pub(super) predicate: P,
    pub(super) error: PhantomData<fn(&E)>,
}

impl<'p, E, P: Fn(&E) -> bool> RetryIf<'p, E, P> {
    /// Like [`RetryPolicy::stop_on`].
    #[must_use]
    pub fn stop_on(self, stop: &'p dyn Stop) -> RetryUntil<'p, MatchingErrors<P>> {
        RetryUntil { policy: self.policy, stop, classify: MatchingErrors(self.predicate) }
    }

    /// Like [`RetryPolicy::run`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T>(&self, work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        run(self.policy, work, |error| Verdict::transient_if((self.predicate)(error)), |_| None)
    }

    /// Like [`RetryPolicy::run_async`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, F>(&self, work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run_async(self.policy, work, |error| Verdict::transient_if((self.predicate)(error)), |_| None)
    }
}

impl<E, P> fmt::Debug for RetryIf<'_, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryIf").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A [`RetryPolicy`] with a stop signal, returned by [`RetryPolicy::stop_on`].
#[derive(Clone, Copy)]
pub struct RetryUntil<'p, C = TransientErrors> {
    pub(super) policy: &'p RetryPolicy,
    pub(super) stop: &'p dyn Stop,
    pub(super) classify: C,
}

/// The selection of all errors that are [`Transient`].
#[derive(Clone, Copy, Debug)]
pub struct TransientErrors;

/// The selection of the errors for which a predicate returns true.
#[derive(Clone, Copy, Debug)]
pub struct MatchingErrors<P>(P);

/// A selection of the errors that are retried: [`TransientErrors`], or [`MatchingErrors`] of a predicate. The trait is sealed.
pub trait ErrorSelection<E>: sealed::Classify<E> {}

impl<E: Transient> ErrorSelection<E> for TransientErrors {}

impl<E, P: Fn(&E) -> bool> ErrorSelection<E> for MatchingErrors<P> {}

impl<E: Transient> sealed::Classify<E> for TransientErrors {
    fn verdict(&self, error: &E) -> Verdict {
        verdict_of(error)
    }

    fn display(error: &E) -> Option<&dyn Display> {
        error.as_dyn_display()
    }
}

impl<E, P: Fn(&E) -> bool> sealed::Classify<E> for MatchingErrors<P> {
    fn verdict(&self, error: &E) -> Verdict {
        Verdict::transient_if((self.0)(error))
    }

    fn display(_: &E) -> Option<&dyn Display> {
        None
    }
}

/// The private part of [`ErrorSelection`], which seals it.
mod sealed {
    use std::fmt::Display;

    use crate::stack::Verdict;

    pub trait Classify<E> {
        /// The verdict of a retry on an error.
        fn verdict(&self, error: &E) -> Verdict;

        /// The error for events, if its type is known to implement `Display`.
        fn display(error: &E) -> Option<&dyn Display>;
    }
}

impl<'p> RetryUntil<'p> {
    /// Like [`RetryPolicy::retry_if`].
    #[must_use]
    pub const fn retry_if<E, P: Fn(&E) -> bool>(&self, predicate: P) -> RetryUntil<'p, MatchingErrors<P>> {
        RetryUntil { policy: self.policy, stop: self.stop, classify: MatchingErrors(predicate) }
    }
}

impl<C> RetryUntil<'_, C> {
    /// Like [`RetryPolicy::run`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E>(&self, mut work: impl FnMut() -> Result<T, E>) -> Result<T, E>
    where
        C: ErrorSelection<E>,
    {
        let mut attempts = Attempts::of_thread(self.policy);
        attempts.stop_on(self.stop);
        loop {
            let error = match attempts.within(self.policy, &mut work) {
                Ok(value) => {
                    attempts.succeed_on_thread(self.policy);
                    return Ok(value);
                }
                Err(error) => error,
            };
            let verdict = self.classify.verdict(&error);
            if let Some(error) = attempts.sleep_after(error, verdict, Disposition::Called, C::display) {
                return Err(error);
            }
        }
    }

    /// Like [`RetryPolicy::run_async`].
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, E, F>(&self, mut work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        C: ErrorSelection<E>,
        F: Future<Output = Result<T, E>>,
    {
        let created = CreationScope::current();
        async move {
            let mut attempts = Attempts::of_task_in(created, self.policy).await;
            attempts.stop_on(self.stop);
            loop {
                let error = match attempts.scope(pin!(work())).await {
                    Ok(value) => {
                        attempts.succeed(self.policy);
                        return Ok(value);
                    }
                    Err(error) => error,
                };
                let verdict = self.classify.verdict(&error);
                let (error, delay) = match attempts.delay_after(error, verdict, Disposition::Called, C::display) {
                    Ok(continued) => continued,
                    Err(error) => return Err(error),
                };
                attempts.pause(delay).await;
                if attempts.ends() {
                    return Err(error);
                }
            }
        }
    }
}

impl<C> fmt::Debug for RetryUntil<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryUntil").field("policy", &self.policy).finish_non_exhaustive()
    }
}

pub(super) fn run<T, E>(
    policy: &RetryPolicy,
    mut work: impl FnMut() -> Result<T, E>,
    classify: impl Fn(&E) -> Verdict,
    display: fn(&E) -> Option<&dyn Display>,
) -> Result<T, E> {
    let mut attempts = Attempts::of_thread(policy);
    // Lets the compiler peel the first iteration off the loop, so that the fast path omits the set-up for retries: a successful call takes
    // 30 instead of 46 instructions.
    let mut is_first = true;
    loop {
        let error = match attempts.within_first(policy, is_first, &mut work) {
            Ok(value) => {
                attempts.succeed_on_thread(policy);
                return Ok(value);
            }
            Err(error) => error,
        };
        is_first = false;
        let verdict = classify(&error);
        if let Some(error) = attempts.sleep_after(error, verdict, Disposition::Called, display) {
            return Err(error);
        }
    }
}

#[cfg(feature = "tokio")]
pub(super) fn run_async<T, E, F>(
    policy: &RetryPolicy,
    mut work: impl FnMut() -> F,
    classify: impl Fn(&E) -> Verdict,
    display: fn(&E) -> Option<&dyn Display>,
) -> impl Future<Output = Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let created = CreationScope::current();
    async move {
        let mut attempts = Attempts::of_task_in(created, policy).await;
        loop {
            // The error is dropped before the pause, so that an error that is not `Send` does not make the future not `Send`.
            let delay = {
                let error = match attempts.scope(pin!(work())).await {
                    Ok(value) => {
                        attempts.succeed(policy);
                        return Ok(value);
                    }
                    Err(error) => error,
                };
                let verdict = classify(&error);
                match attempts.delay_after(error, verdict, Disposition::Called, display) {
                    Ok((_, delay)) => delay,
                    Err(error) => return Err(error),
                }
            };
            attempts.pause(delay).await;
        }
    }
}
