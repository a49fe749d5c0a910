//! The hook and the stop signal of a [`RetryCall`](super::RetryCall), or their absence.

use std::time::Duration;

use crate::stop::Stop;

/// The hook of a [`RetryCall`](super::RetryCall) without one.
#[derive(Clone, Copy, Debug)]
pub struct NoHook;

/// The stop signal of a [`RetryCall`](super::RetryCall) without one.
#[derive(Clone, Copy, Debug)]
pub struct NoStop;

/// A hook that is called before each sleep: [`NoHook`], or a closure over the number of the failed attempt, the delay and the error (with
/// `retry_if_result`, the value). The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "the hook of `on_retry` does not take a `&{T}`",
    label = "the third parameter of the hook is not a `&{T}`",
    note = "the hook takes the number of the failed attempt, the delay, and the error (with `retry_if_result`, the value)"
)]
pub trait OnRetry<T>: sealed::Hook<T> {}

impl<T> OnRetry<T> for NoHook {}

impl<T, F: FnMut(u32, Duration, &T)> OnRetry<T> for F {}

/// The stop signal of a [`RetryCall`](super::RetryCall): [`NoStop`] or a `&dyn Stop`. The trait is sealed.
pub trait RetryStop: sealed::Signal {}

impl RetryStop for NoStop {}

impl RetryStop for &(dyn Stop + '_) {}

/// The private parts of [`OnRetry`] and [`RetryStop`], which seal them.
pub(super) mod sealed {
    use std::time::Duration;

    use super::{NoHook, NoStop};
    use crate::stop::Stop;

    pub trait Hook<T> {
        /// True if there is a hook to call.
        const IS_SET: bool;

        /// Calls the hook.
        fn call(&mut self, attempt: u32, delay: Duration, failure: &T);
    }

    impl<T> Hook<T> for NoHook {
        const IS_SET: bool = false;

        fn call(&mut self, _: u32, _: Duration, _: &T) {}
    }

    impl<T, F: FnMut(u32, Duration, &T)> Hook<T> for F {
        const IS_SET: bool = true;

        fn call(&mut self, attempt: u32, delay: Duration, failure: &T) {
            self(attempt, delay, failure);
        }
    }

    pub trait Signal {
        /// The storage of a failure during the sleep after it, which a signal can end.
        ///
        /// Without a signal the failure is dropped before the sleep, so that one that is not `Send` does not make the future not `Send`.
        type Kept<F>;

        /// Returns the signal.
        fn signal(&self) -> Option<&dyn Stop>;

        /// Stores a failure.
        fn keep<F>(failure: F) -> Self::Kept<F>;

        /// Returns a stored failure.
        fn take<F>(kept: Self::Kept<F>) -> Option<F>;
    }

    impl Signal for NoStop {
        type Kept<F> = ();

        fn signal(&self) -> Option<&dyn Stop> {
            None
        }

        fn keep<F>(_: F) -> Self::Kept<F> {}

        fn take<F>((): Self::Kept<F>) -> Option<F> {
            None
        }
    }

    impl Signal for &(dyn Stop + '_) {
        type Kept<F> = F;

        fn signal(&self) -> Option<&dyn Stop> {
            Some(*self)
        }

        fn keep<F>(failure: F) -> F {
            failure
        }

        fn take<F>(kept: F) -> Option<F> {
            Some(kept)
        }
    }
}
