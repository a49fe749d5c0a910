use std::{
    borrow::Borrow,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use super::{CircuitBreaker, Settings, word::Ticket};
use crate::retry::verdict::Passage;

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
pub struct Permit<'a, S: Borrow<Settings> = Settings> {
    breaker: &'a CircuitBreaker<S>,
    ticket: Ticket,
}

impl<'a, S: Borrow<Settings>> Permit<'a, S> {
    #[inline]
    pub(super) const fn new(breaker: &'a CircuitBreaker<S>, ticket: Ticket) -> Self {
        Self { breaker, ticket }
    }

    /// The call did what it was for.
    #[inline]
    pub fn success(self) {
        self.breaker.view().succeed(self.ticket);
        mem::forget(self);
    }

    /// The call failed in a way that speaks against what it called.
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

    fn fail(self, is_neutral: bool) {
        self.breaker.view().fail(self.ticket, is_neutral);
        mem::forget(self);
    }

    /// Ends a call that has failed, or says nothing, and tells a retry around it how things stand.
    #[cold]
    #[inline(never)]
    pub(crate) fn pass_on(self, is_neutral: bool) -> Passage {
        let view = self.breaker.view();
        self.fail(is_neutral);
        view.open_for().map_or(Passage::Made, Passage::Opened)
    }
}

impl<S: Borrow<Settings>> Drop for Permit<'_, S> {
    fn drop(&mut self) {
        self.breaker.view().fail(self.ticket, true);
    }
}

/// The permit of a call while the code of the call runs. Dropped before that has returned, it counts as a failure: a panic passes
/// through the call.
#[derive(Debug)]
#[must_use = "dropped, it is a failure"]
pub struct Running<'a, S: Borrow<Settings> = Settings> {
    breaker: &'a CircuitBreaker<S>,
    ticket: Ticket,
}

impl<'a, S: Borrow<Settings>> Running<'a, S> {
    /// From here on the code of the call runs.
    #[inline]
    pub const fn of(permit: Permit<'a, S>) -> Self {
        let running = Self { breaker: permit.breaker, ticket: permit.ticket };
        mem::forget(permit);
        running
    }

    /// It has returned.
    #[inline]
    pub const fn returned(self) -> Permit<'a, S> {
        let permit = Permit::new(self.breaker, self.ticket);
        mem::forget(self);
        permit
    }
}

impl<S: Borrow<Settings>> Drop for Running<'_, S> {
    fn drop(&mut self) {
        self.breaker.view().fail(self.ticket, false);
    }
}

/// A call whose code runs when it is polled, and not in between. Gives the permit back beside the output.
#[derive(Debug)]
pub struct Polled<'a, F, S: Borrow<Settings> = Settings> {
    /// `None` once the call has ended.
    permit: Option<Permit<'a, S>>,
    call: F,
}

impl<'a, F, S: Borrow<Settings>> Polled<'a, F, S> {
    #[inline]
    /// Not polled yet; `running` covers what made the call.
    pub const fn new(running: Running<'a, S>, call: F) -> Self {
        Self { permit: Some(running.returned()), call }
    }
}

impl<'a, F: Future + Unpin, S: Borrow<Settings>> Future for Polled<'a, F, S> {
    type Output = (F::Output, Permit<'a, S>);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(permit) = self.permit.take() else { return Poll::Pending };
        let running = Running::of(permit);
        let poll = Pin::new(&mut self.call).poll(context);
        let permit = running.returned();
        match poll {
            Poll::Ready(output) => Poll::Ready((output, permit)),
            Poll::Pending => {
                self.permit = Some(permit);
                Poll::Pending
            }
        }
    }
}

impl<S: Borrow<Settings>> fmt::Debug for Permit<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("breaker", &self.breaker.view().name()).finish_non_exhaustive()
    }
}
