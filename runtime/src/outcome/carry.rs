//! Error types that can carry a rejection: `From<CircuitOpen>` and its like, in words of our own.
//!
//! A trait for each, so that each says in full what to write: a variant that compiles where it is pasted, and of which a retry makes what
//! it should.

use super::CallResult;
use crate::{BulkheadFull, CircuitOpen, RateLimited, TimedOut};

/// An error type that can carry a [`CircuitOpen`].
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry a `CircuitOpen`: it has no `From<CircuitOpen>`",
    label = "`From<CircuitOpen>` is missing for its error type",
    note = "with thiserror, add a variant `#[error(transparent)] Open(#[from] steadfast::CircuitOpen)`; it takes no `#[transient]`: an open circuit ends a retry",
    note = "without thiserror, write `impl From<steadfast::CircuitOpen> for {Self}`"
)]
pub trait CarriesCircuitOpen {
    /// The error with the rejection in it.
    fn carry(open: CircuitOpen) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<CircuitOpen>> CarriesCircuitOpen for E {
    fn carry(open: CircuitOpen) -> Self {
        open.into_error()
    }
}

/// What a call returns that the circuit does not admit.
#[inline]
#[must_use]
pub fn reject<O: CallResult<Error: CarriesCircuitOpen>>(open: CircuitOpen) -> O {
    O::from_error(O::Error::carry(open))
}

/// An error type that can carry a [`RateLimited`].
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry a `RateLimited`: it has no `From<RateLimited>`",
    label = "`From<RateLimited>` is missing for its error type",
    note = "with thiserror and `derive(Transient)`, add a variant `#[error(transparent)] #[transient(inherit)] Limited(#[from] steadfast::RateLimited)`: a retry waits for a place",
    note = "without `derive(Transient)`, leave out `#[transient(inherit)]`; without thiserror, write `impl From<steadfast::RateLimited> for {Self}`"
)]
pub trait CarriesRateLimited {
    /// The error with the rejection in it.
    fn carry(limited: RateLimited) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<RateLimited>> CarriesRateLimited for E {
    fn carry(limited: RateLimited) -> Self {
        limited.into()
    }
}

/// What a call returns that is above a rate limit.
#[inline]
#[must_use]
pub fn refuse_limited<O: CallResult<Error: CarriesRateLimited>>(limited: RateLimited) -> O {
    O::from_error(O::Error::carry(limited))
}

/// An error type that can carry a [`BulkheadFull`].
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry a `BulkheadFull`: it has no `From<BulkheadFull>`",
    label = "`From<BulkheadFull>` is missing for its error type",
    note = "with thiserror and `derive(Transient)`, add a variant `#[error(transparent)] #[transient(inherit)] Full(#[from] steadfast::BulkheadFull)`: a retry tries again",
    note = "without `derive(Transient)`, leave out `#[transient(inherit)]`; without thiserror, write `impl From<steadfast::BulkheadFull> for {Self}`"
)]
pub trait CarriesBulkheadFull {
    /// The error with the rejection in it.
    fn carry(full: BulkheadFull) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<BulkheadFull>> CarriesBulkheadFull for E {
    fn carry(full: BulkheadFull) -> Self {
        full.into()
    }
}

/// What a call returns for which a bulkhead has no place.
#[inline]
#[must_use]
pub fn refuse_full<O: CallResult<Error: CarriesBulkheadFull>>(full: BulkheadFull) -> O {
    O::from_error(O::Error::carry(full))
}

/// An error type that can carry a [`TimedOut`].
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry a `TimedOut`: it has no `From<TimedOut>`",
    label = "`From<TimedOut>` is missing for its error type",
    note = "with thiserror and `derive(Transient)`, add a variant `#[error(transparent)] #[transient(inherit)] TimedOut(#[from] steadfast::TimedOut)`: a retry tries again",
    note = "without `derive(Transient)`, leave out `#[transient(inherit)]`; without thiserror, write `impl From<steadfast::TimedOut> for {Self}`"
)]
pub trait CarriesTimedOut {
    /// The error with the rejection in it.
    fn carry(timed_out: TimedOut) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<TimedOut>> CarriesTimedOut for E {
    fn carry(timed_out: TimedOut) -> Self {
        timed_out.into()
    }
}

/// What a call returns that has taken too long.
#[inline]
#[must_use]
pub fn time_out<O: CallResult<Error: CarriesTimedOut>>(timed_out: TimedOut) -> O {
    O::from_error(O::Error::carry(timed_out))
}
