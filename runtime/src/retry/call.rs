//! A policy with the parts that a `const` cannot contain: a predicate, a hook, a stop signal.

#[cfg(feature = "tokio")]
use std::future::Future;
use std::{
    convert::identity,
    error::Error,
    fmt::{self, Display},
    time::Duration,
};

use super::{
    RetryPolicy,
    call_options::{NoHook, NoStop, OnRetry, RetryStop},
    error_view::{ErrorView, view_of},
    run::{self, Judged},
};
use crate::{Transient, stack::Verdict, stop::Stop, transient::verdict_of};

/// A call under a [`RetryPolicy`] with a predicate, a hook or a stop signal.
///
/// Created by [`RetryPolicy::retry_if`], [`retry_if_result`](RetryPolicy::retry_if_result), [`on_retry`](RetryPolicy::on_retry) and
/// [`stop_on`](RetryPolicy::stop_on), and completed by the methods of the same names, in any order:
///
/// ```
/// use std::io;
/// use steadfast::{RetryPolicy, Schedule, StopSignal};
///
/// static POLICY: RetryPolicy = RetryPolicy::new().max_attempts(5).backoff(Schedule::none());
/// static SHUTDOWN: StopSignal = StopSignal::new();
///
/// let (mut interrupted, mut hooked) = (0, 0);
/// let result: io::Result<()> = POLICY
///     .retry_if(|error: &io::Error| {
///         interrupted += 1; // closures may have state
///         error.kind() == io::ErrorKind::Interrupted
///     })
///     .on_retry(|_attempt, _delay, _error| hooked += 1)
///     .stop_on(&SHUTDOWN)
///     .run(|| Err(io::ErrorKind::Interrupted.into()));
/// assert!(result.is_err());
/// assert_eq!((interrupted, hooked), (5, 4)); // no delay follows the last attempt
/// ```
///
/// The type can be named: `S` is the selection of what is retried ([`TransientErrors`], [`MatchingErrors`] or [`MatchingResults`]), `H` the
/// hook ([`NoHook`] or a closure), and `W` the stop signal ([`NoStop`] or `&dyn Stop`). With function pointers, a call can be stored:
///
/// ```
/// use std::io;
/// use steadfast::{MatchingErrors, RetryCall, RetryPolicy};
///
/// static POLICY: RetryPolicy = RetryPolicy::new();
///
/// struct Client {
///     retry: RetryCall<'static, MatchingErrors<io::Error>>,
/// }
///
/// fn is_busy(error: &io::Error) -> bool {
///     error.kind() == io::ErrorKind::ResourceBusy
/// }
///
/// let client = Client { retry: POLICY.retry_if(is_busy) };
/// # let send = || io::Result::Ok(());
/// client.retry.run(send)?; // it is `Copy` if its parts are
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Copy)]
#[must_use = "a call does nothing until `run` or `run_async`"]
pub struct RetryCall<'p, S = TransientErrors, H = NoHook, W = NoStop> {
    policy: &'p RetryPolicy,
    selection: S,
    hook: H,
    stop: W,
}

/// The selection of all errors that are [`Transient`].
#[derive(Clone, Copy, Debug)]
pub struct TransientErrors;

/// The selection of the errors of type `E` for which a predicate returns true: a closure, or by default a function.
pub struct MatchingErrors<E, P = fn(&E) -> bool> {
    predicate: P,
    view: fn(&E) -> ErrorView<'_>,
}

/// The selection of the returned values of type `R` for which a predicate returns true: a closure, or by default a function.
pub struct MatchingResults<R, P = fn(&R) -> bool> {
    predicate: P,
    view: fn(&R) -> ErrorView<'_>,
}

impl<'p, S, H> RetryCall<'p, S, H> {
    pub(super) const fn new(policy: &'p RetryPolicy, selection: S, hook: H) -> Self {
        Self { policy, selection, hook, stop: NoStop }
    }
}

impl<'p> RetryCall<'p, TransientErrors, NoHook, &'p dyn Stop> {
    pub(super) const fn stopped_by(policy: &'p RetryPolicy, stop: &'p dyn Stop) -> Self {
        Self { policy, selection: TransientErrors, hook: NoHook, stop }
    }
}

impl<'p, S, H, W> RetryCall<'p, S, H, W> {
    /// Sets a predicate that selects the errors to retry, as [`RetryPolicy::retry_if`] does.
    pub fn retry_if<E, P: FnMut(&E) -> bool>(self, predicate: P) -> RetryCall<'p, MatchingErrors<E, P>, H, W> {
        self.select(MatchingErrors::new(predicate))
    }

    /// Sets a predicate over the whole returned value, as [`RetryPolicy::retry_if_result`] does.
    pub fn retry_if_result<R, P: FnMut(&R) -> bool>(self, predicate: P) -> RetryCall<'p, MatchingResults<R, P>, H, W> {
        self.select(MatchingResults::new(predicate))
    }

    fn select<S2>(self, selection: S2) -> RetryCall<'p, S2, H, W> {
        RetryCall { policy: self.policy, selection, hook: self.hook, stop: self.stop }
    }

    /// Sets the hook that is called before each sleep, as [`RetryPolicy::on_retry`] does.
    pub fn on_retry<T, F: FnMut(u32, Duration, &T)>(self, hook: F) -> RetryCall<'p, S, F, W> {
        RetryCall { policy: self.policy, selection: self.selection, hook, stop: self.stop }
    }

    /// Sets the stop signal, as [`RetryPolicy::stop_on`] does.
    pub fn stop_on(self, stop: &'p dyn Stop) -> RetryCall<'p, S, H, &'p dyn Stop> {
        RetryCall { policy: self.policy, selection: self.selection, hook: self.hook, stop }
    }
}

impl<E, P> MatchingErrors<E, P> {
    pub(super) const fn new(predicate: P) -> Self {
        Self { predicate, view: |_| ErrorView::NONE }
    }
}

impl<R, P> MatchingResults<R, P> {
    pub(super) const fn new(predicate: P) -> Self {
        Self { predicate, view: |_| ErrorView::NONE }
    }
}

impl<E, P, H, W> RetryCall<'_, MatchingErrors<E, P>, H, W> {
    /// Includes the text of the error in the events of the retry.
    ///
    /// Without a predicate, [`Transient::as_dyn_display`] provides the text. An error under a predicate may be of any type, so its text has to
    /// be asked for.
    pub fn with_error_texts(mut self) -> Self
    where
        E: Display,
    {
        self.selection.view = |error| ErrorView::of_display(Some(error));
        self
    }

    /// Includes the text of the error in the events of the retry, and passes the error to a custom [`Backoff`](crate::Backoff).
    pub fn with_errors(mut self) -> Self
    where
        E: Error + 'static,
    {
        self.selection.view = |error| ErrorView::of_display(Some(error)).with_error(Some(error));
        self
    }
}

impl<E, P, H, W> RetryCall<'_, MatchingErrors<E, P>, H, W>
where
    P: FnMut(&E) -> bool,
    H: OnRetry<E>,
    W: RetryStop,
{
    /// Calls `work` as [`RetryPolicy::run`] does.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T>(self, work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        let MatchingErrors { mut predicate, view } = self.selection;
        let verdict = move |error: &E| Verdict::transient_if(predicate(error));
        run::run_call(self.policy, &self.stop, self.hook, work, run::by_error(verdict), view)
    }

    /// Calls `work` as [`RetryPolicy::run_async`] does.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, F>(self, work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let MatchingErrors { mut predicate, view } = self.selection;
        let verdict = move |error: &E| Verdict::transient_if(predicate(error));
        run::run_call_async(self.policy, self.stop, self.hook, work, run::by_error(verdict), view)
    }
}

impl<H, W: RetryStop> RetryCall<'_, TransientErrors, H, W> {
    /// Calls `work` as [`RetryPolicy::run`] does.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E: Transient>(self, work: impl FnMut() -> Result<T, E>) -> Result<T, E>
    where
        H: OnRetry<E>,
    {
        let judge = run::by_error(verdict_of);
        run::run_call(self.policy, &self.stop, self.hook, work, judge, view_of)
    }

    /// Calls `work` as [`RetryPolicy::run_async`] does.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<T, E: Transient, F>(self, work: impl FnMut() -> F) -> impl Future<Output = Result<T, E>>
    where
        H: OnRetry<E>,
        F: Future<Output = Result<T, E>>,
    {
        let judge = run::by_error(verdict_of);
        run::run_call_async(self.policy, self.stop, self.hook, work, judge, view_of)
    }
}

impl<R, P, H, W> RetryCall<'_, MatchingResults<R, P>, H, W>
where
    P: FnMut(&R) -> bool,
    H: OnRetry<R>,
    W: RetryStop,
{
    /// Calls `work` until the predicate returns false or a limit of the policy is reached, and returns the last value. Sleeps between
    /// attempts block the thread.
    pub fn run(self, work: impl FnMut() -> R) -> R {
        let MatchingResults { predicate, view } = self.selection;
        run::run_call(self.policy, &self.stop, self.hook, work, by_result(predicate), view).unwrap_or_else(identity)
    }

    /// Calls `work` until the predicate returns false or a limit of the policy is reached, and returns the last value. Dropping the future
    /// cancels the call.
    ///
    /// # Panics
    ///
    /// If it has to sleep outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn run_async<F: Future<Output = R>>(self, work: impl FnMut() -> F) -> impl Future<Output = R> {
        let MatchingResults { predicate, view } = self.selection;
        let call = run::run_call_async(self.policy, self.stop, self.hook, work, by_result(predicate), view);
        async { call.await.unwrap_or_else(identity) }
    }
}

/// The judgement of a returned value by a predicate.
fn by_result<R>(mut predicate: impl FnMut(&R) -> bool) -> impl FnMut(R) -> Judged<R, R> {
    move |value| if predicate(&value) { Err((value, Verdict::transient_if(true))) } else { Ok(value) }
}

impl<E, P: Clone> Clone for MatchingErrors<E, P> {
    fn clone(&self) -> Self {
        Self { predicate: self.predicate.clone(), view: self.view }
    }
}

impl<E, P: Copy> Copy for MatchingErrors<E, P> {}

impl<R, P: Clone> Clone for MatchingResults<R, P> {
    fn clone(&self) -> Self {
        Self { predicate: self.predicate.clone(), view: self.view }
    }
}

impl<R, P: Copy> Copy for MatchingResults<R, P> {}

impl<E, P> fmt::Debug for MatchingErrors<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MatchingErrors").finish_non_exhaustive()
    }
}

impl<R, P> fmt::Debug for MatchingResults<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MatchingResults").finish_non_exhaustive()
    }
}

impl<S, H, W> fmt::Debug for RetryCall<'_, S, H, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryCall").field("policy", &self.policy).finish_non_exhaustive()
    }
}
