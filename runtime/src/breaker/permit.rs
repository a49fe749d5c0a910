use std::{borrow::Borrow, fmt, mem, thread};

use super::{
    CircuitBreaker, Settings,
    word::{Outcome, Ticket},
};
use crate::retry::attempts::Passage;

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
        self.end(Outcome::Success);
    }

    /// The call failed in a way that speaks against what it called.
    #[inline]
    pub fn failure(self) {
        self.end(Outcome::Failure);
    }

    /// Ends the call, and tells a retry around it how things stand.
    #[inline]
    pub(crate) fn pass(self, outcome: Outcome) -> Passage {
        let view = self.breaker.view();
        self.end(outcome);
        match outcome {
            Outcome::Success => Passage::Made,
            Outcome::Failure | Outcome::Neutral => view.open_for().map_or(Passage::Made, Passage::Opened),
        }
    }

    #[inline]
    pub(crate) fn end(self, outcome: Outcome) {
        self.breaker.view().settle(self.ticket, outcome);
        mem::forget(self);
    }
}

impl<S: Borrow<Settings>> Drop for Permit<'_, S> {
    fn drop(&mut self) {
        let outcome = if thread::panicking() { Outcome::Failure } else { Outcome::Neutral };
        self.breaker.view().settle(self.ticket, outcome);
    }
}

impl<S: Borrow<Settings>> fmt::Debug for Permit<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("breaker", &self.breaker.view().name()).finish_non_exhaustive()
    }
}
