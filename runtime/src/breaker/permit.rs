use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use super::{CircuitBreaker, state::Admission};
use crate::{
    keying::{Keying, Unkeyed},
    stack::Disposition,
};

/// A call that a breaker has admitted, until it is known how it ended.
///
/// Tell it with [`success`](Self::success) or [`failure`](Self::failure). A permit that is dropped without either is
/// neutral: it counts as nothing and is given back; a future that is cancelled does that by itself. That holds while a thread
/// panics, too: nobody knows whether the panic has anything to do with the call. [`CircuitBreaker::call`],
/// [`call_async`](CircuitBreaker::call_async) and `#[circuit_breaker]` know, and count a panic that passes through the call as
/// a failure.
///
/// A result that arrives after the circuit has changed state goes into the totals and moves nothing else.
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
#[must_use = "a permit that is dropped at once is neutral: tell it `success` or `failure` when the call has ended"]
pub struct Permit<'a, K: Keying = Unkeyed> {
    breaker: &'a CircuitBreaker<K>,
    admission: Admission,
}

impl<'a, K: Keying> Permit<'a, K> {
    #[inline]
    pub(super) const fn new(breaker: &'a CircuitBreaker<K>, admission: Admission) -> Self {
        Self { breaker, admission }
    }

    /// The call did what it was for.
    #[inline]
    pub fn success(self) {
        self.breaker.view().succeed(self.admission);
        mem::forget(self);
    }

    /// The call failed in a way that speaks against what it called.
    #[inline]
    pub fn failure(self) {
        self.fail(false);
    }

    #[inline]
    pub(super) fn end<T, E>(self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.success(),
            Err(_) => self.failure(),
        }
    }

    #[inline]
    fn fail(self, is_neutral: bool) {
        self.breaker.view().fail(self.admission, is_neutral);
        mem::forget(self);
    }

    /// Ends a call that has failed, or says nothing, and tells a retry around it how things stand.
    #[cold]
    #[inline(never)]
    pub(crate) fn pass_on(self, is_neutral: bool) -> Disposition {
        let view = self.breaker.view();
        self.fail(is_neutral);
        view.open_for().map_or(Disposition::Called, Disposition::CalledAndOpened)
    }
}

impl<K: Keying> Drop for Permit<'_, K> {
    fn drop(&mut self) {
        let (admission, has_panicked) = self.admission.without_panic();
        self.breaker.view().fail(admission, !has_panicked);
    }
}

/// Marks a permit if the code of its call panics: created before that code runs, and ended by [`returned`](Self::returned) after it. If it
/// is dropped instead, a panic passes through, and the permit counts as a failure when it is dropped.
#[derive(Debug)]
pub struct PanicMark<'p, 'a, K: Keying = Unkeyed>(&'p mut Permit<'a, K>);

impl<'p, 'a, K: Keying> PanicMark<'p, 'a, K> {
    /// From here on the code of the call runs.
    #[inline]
    pub const fn new(permit: &'p mut Permit<'a, K>) -> Self {
        Self(permit)
    }

    /// It has returned.
    #[inline]
    pub const fn returned(self) {
        mem::forget(self);
    }
}

impl<K: Keying> Drop for PanicMark<'_, '_, K> {
    #[cold]
    fn drop(&mut self) {
        self.0.admission = self.0.admission.with_panic();
    }
}

/// A call whose code runs while it is polled, and not in between.
#[derive(Debug)]
pub struct Polled<'p, 'a, F, K: Keying = Unkeyed> {
    permit: &'p mut Permit<'a, K>,
    call: F,
}

impl<'p, 'a, F, K: Keying> Polled<'p, 'a, F, K> {
    /// Not polled yet.
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
        let mark = PanicMark::new(this.permit);
        let poll = Pin::new(&mut this.call).poll(context);
        mark.returned();
        poll
    }
}

impl<K: Keying> fmt::Debug for Permit<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("breaker", &self.breaker.view().name()).finish_non_exhaustive()
    }
}
