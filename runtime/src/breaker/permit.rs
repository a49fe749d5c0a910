use std::{borrow::Borrow, fmt, mem, thread};

use super::{CircuitBreaker, Settings, word::Ticket};
use crate::retry::verdict::Passage;

/// A call that a breaker has admitted, until it is known how it ended.
///
/// Tell it with [`success`](Self::success) or [`failure`](Self::failure). A permit that is dropped without either is
/// neutral: it counts as nothing and frees its place; a future that is cancelled does that by itself. One that is
/// dropped while its thread panics counts as a failure, whoever it is that panics.
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
        self.breaker.view().fail(self.ticket, !thread::panicking());
    }
}

impl<S: Borrow<Settings>> fmt::Debug for Permit<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("breaker", &self.breaker.view().name()).finish_non_exhaustive()
    }
}
