use std::{
    fmt::{self, Display},
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use super::{CircuitBreaker, engine::Failure, state::Admission};
use crate::{
    keying::{Keying, Unkeyed},
    stack::Disposition,
};

/// The permit for one call that a breaker has admitted.
///
/// Report the outcome of the call with [`success`](Self::success), [`failure`](Self::failure) or [`ignore`](Self::ignore). If the permit is
/// dropped without any, for example by a cancelled future, the call is cancelled: see
/// [`cancelled_call`](crate::BreakerConfig::cancelled_call). The default rule for cancelled calls applies only to futures
/// ([`call_async`](CircuitBreaker::call_async), `#[circuit_breaker]`). A cancellation includes a drop during a panic, because the panic may be unrelated to the
/// call. [`CircuitBreaker::call`],
/// [`call_async`](CircuitBreaker::call_async) and `#[circuit_breaker]` count a panic in the call itself as a failure.
///
/// An outcome that is reported after the circuit has changed state changes only the totals.
///
/// ```
/// use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen};
///
/// static SEARCH: CircuitBreaker = CircuitBreaker::new("search", BreakerConfig::new());
///
/// let permit = SEARCH.try_acquire()?;
/// match "42".parse::<u32>() {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(),
/// }
/// # Ok::<(), CircuitOpen>(())
/// ```
#[must_use = "a permit that is dropped at once counts as cancelled: report `success` or `failure` when the call has ended"]
pub struct Permit<'a, K: Keying = Unkeyed> {
    breaker: &'a CircuitBreaker<K>,
    admission: Admission,
}

impl<'a, K: Keying> Permit<'a, K> {
    #[inline]
    pub(super) const fn new(breaker: &'a CircuitBreaker<K>, admission: Admission) -> Self {
        Self { breaker, admission }
    }

    /// The breaker, and the admission.
    pub(super) const fn parts(&self) -> (&'a CircuitBreaker<K>, Admission) {
        (self.breaker, self.admission)
    }

    /// Reports a success.
    #[inline]
    pub fn success(self) {
        record_success(&self);
        mem::forget(self);
    }

    /// Reports a failure of the dependency.
    #[inline]
    pub fn failure(self) {
        self.fail(false, None);
    }

    /// Reports a failure of the dependency, with its error. If the failure opens the circuit, rejections and snapshots contain the text of
    /// the error: see [`CircuitOpen::last_failure`](crate::CircuitOpen::last_failure). The error is formatted only in that case.
    pub fn failure_with(self, error: &dyn Display) {
        self.fail(false, Some(error));
    }

    /// Reports that the call is not evidence of success or failure, for example because of an error of the caller. Only the totals change,
    /// and the permit of a trial call is released.
    pub fn ignore(self) {
        self.fail(true, None);
    }

    /// Stores that the call waits after a poll, or that its wait has ended.
    ///
    /// The ABI `"C"` has the same reason as that of [`record_success`].
    #[allow(improper_ctypes_definitions, reason = "only Rust code calls this function")]
    #[inline]
    extern "C" fn end_poll(&mut self, is_pending: bool) {
        if self.admission.is_waiting() != is_pending {
            let view = self.breaker.view();
            self.admission = if is_pending { view.begin_wait(self.admission) } else { view.end_wait(self.admission) };
        }
    }

    #[inline]
    fn fail(self, is_ignored: bool, failure: Failure<'_>) {
        self.breaker.view().fail(self.admission, is_ignored, failure);
        mem::forget(self);
    }

    /// Reports a failure or an ignored error, and returns the disposition for an enclosing retry.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail_with_disposition(self, is_ignored: bool, failure: Failure<'_>) -> Disposition {
        let view = self.breaker.view();
        self.fail(is_ignored, failure);
        view.open_for().map_or(Disposition::Called, Disposition::CalledAndOpened)
    }
}

impl<K: Keying> Drop for Permit<'_, K> {
    fn drop(&mut self) {
        self.breaker.view().abort(self.admission);
    }
}

/// Records a success. The caller forgets the permit.
///
/// A function with the ABI `"C"` does not unwind. The compiler therefore needs no code that drops the value of the call while this function
/// runs, and builds a value with a destructor in the caller's return slot: 3 instead of 9 ns for a call that returns 24 bytes.
#[allow(improper_ctypes_definitions, reason = "only Rust code calls this function")]
#[inline]
pub extern "C" fn record_success<K: Keying>(permit: &Permit<'_, K>) {
    permit.breaker.view().succeed(permit.admission);
}

/// Forgets a permit whose outcome has been recorded.
#[inline]
pub const fn forget<K: Keying>(permit: Permit<'_, K>) {
    mem::forget(permit);
}

/// A guard that marks a permit if the call panics. It is created just before the code of the call runs, and disarmed by
/// [`disarm`](Self::disarm) after that code. If the guard is dropped instead, the code has panicked, and the permit counts as a failure
/// when it is dropped.
#[derive(Debug)]
pub struct PanicGuard<'p, 'a, K: Keying = Unkeyed>(&'p mut Permit<'a, K>);

impl<'p, 'a, K: Keying> PanicGuard<'p, 'a, K> {
    /// Creates the guard, just before the code of the call runs.
    #[inline]
    pub const fn new(permit: &'p mut Permit<'a, K>) -> Self {
        Self(permit)
    }

    /// Disarms the guard, after the code has returned.
    #[inline]
    pub const fn disarm(self) {
        mem::forget(self);
    }
}

impl<K: Keying> Drop for PanicGuard<'_, '_, K> {
    #[cold]
    fn drop(&mut self) {
        self.0.admission = self.0.admission.with_panic();
    }
}

/// An async call. Its code runs only during a poll, so that a panic is detected there and a drop between polls is a cancellation.
#[derive(Debug)]
pub struct Polled<'p, 'a, F, K: Keying = Unkeyed> {
    permit: &'p mut Permit<'a, K>,
    call: F,
}

impl<'p, 'a, F, K: Keying> Polled<'p, 'a, F, K> {
    /// Creates the call, not yet polled.
    #[inline]
    pub const fn new(permit: &'p mut Permit<'a, K>, call: F) -> Self {
        Self { permit, call }
    }
}

impl<F: Future + Unpin, K: Keying> Future for Polled<'_, '_, F, K> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let guard = PanicGuard::new(this.permit);
        let poll = Pin::new(&mut this.call).poll(context);
        guard.disarm();
        this.permit.end_poll(poll.is_pending());
        poll
    }
}

/// A pinned future. Unlike the future `Pin<&mut F>`, it is inlined into the function that polls it: 2 ns for each poll.
#[derive(Debug)]
pub struct InPlace<'a, F>(pub Pin<&'a mut F>);

impl<F: Future> Future for InPlace<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<K: Keying> fmt::Debug for Permit<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("breaker", &self.breaker.view().name()).finish_non_exhaustive()
    }
}
