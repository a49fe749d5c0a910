//! What a function's returned value means to a retry and to a breaker.
//!
//! Everything here is called from expansions with the span of the user's return type, so that a type that does not fit
//! is reported there.

use std::{error::Error, time::Duration};

use crate::{
    CircuitOpen, Permit, Transient,
    breaker::Outcome,
    retry::{
        attempts::{Passage, Verdict},
        verdict_of,
    },
    transient::sources,
};

/// What a guarded function returns: a `Result` or an `Option`.
///
/// One trait for everything that is asked of the type, so that a type that fits nothing is one error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the call failed",
    label = "neither a `Result` nor an `Option`",
    note = "return a `Result` or an `Option`; a `#[retry]` on its own can judge any value: `retry_if_result = |value| ...`"
)]
pub trait Returned {
    /// The error type; for an `Option`, which has none, [`Absent`].
    type Error;

    /// The error, if the call failed.
    fn error(&self) -> Option<&Self::Error>;

    /// The value that a call returns which the circuit does not admit.
    fn from_error(error: Self::Error) -> Self;
}

impl<T, E> Returned for Result<T, E> {
    type Error = E;

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }

    fn from_error(error: E) -> Self {
        Err(error)
    }
}

impl<T> Returned for Option<T> {
    type Error = Absent;

    fn error(&self) -> Option<&Absent> {
        self.is_none().then_some(&Absent)
    }

    fn from_error(_: Absent) -> Self {
        None
    }
}

/// The error of an `Option`: that there is nothing. Always worth another attempt.
#[derive(Debug)]
pub struct Absent;

impl Transient for Absent {
    fn is_transient(&self) -> bool {
        true
    }
}

impl From<CircuitOpen> for Absent {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

/// An error type that can carry the rejection `R`: `From<R>`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry a rejection: it has no `From<{R}>`",
    label = "`From<{R}>` is missing for its error type",
    note = "with thiserror, add a variant `#[error(transparent)] Open(#[from] {R})`; or write `impl From<{R}> for {Self}`"
)]
pub trait CarriesRejection<R> {
    /// The error that a rejected call returns.
    fn carry(rejection: R) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<R>, R> CarriesRejection<R> for E {
    fn carry(rejection: R) -> Self {
        rejection.into()
    }
}

// What the expansion of `#[retry]` asks.

/// Without `retry_if`: what the error type says.
#[inline]
pub fn by_type<O: Returned<Error: Transient>>(outcome: &O) -> Verdict {
    outcome.error().map_or(Verdict::Final, verdict_of)
}

/// `retry_if = any`. `look` shows the error, if it is one: a rejection by a breaker further inside is not retried.
#[inline]
pub fn by_any<O: Returned>(outcome: &O, look: fn(&O::Error) -> Option<&(dyn Error + 'static)>) -> Verdict {
    by_error(outcome, |_| true, look)
}

/// `retry_if = predicate`, with `look` as above.
#[inline]
pub fn by_error<O: Returned>(
    outcome: &O,
    predicate: impl FnOnce(&O::Error) -> bool,
    look: fn(&O::Error) -> Option<&(dyn Error + 'static)>,
) -> Verdict {
    let error = outcome.error().filter(|error| predicate(error));
    Verdict::transient_if(error.is_some_and(|error| look(error).and_then(rejection).is_none()))
}

/// `retry_if(Type, ...)`
#[inline]
pub fn by_chain<O: Returned>(outcome: &O, show: fn(&O::Error) -> &(dyn Error + 'static), types: &[IsType]) -> Verdict {
    outcome.error().map_or(Verdict::Final, |error| chain_verdict(show(error), types))
}

fn chain_verdict(error: &(dyn Error + 'static), types: &[IsType]) -> Verdict {
    match rejection(error) {
        Some(open) => Verdict::rejected(open, wants_rejection(open, types)),
        None => Verdict::transient_if(is_any_of(error, types)),
    }
}

/// The rejection in a chain of sources.
fn rejection<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CircuitOpen> {
    sources(error).find_map(<dyn Error>::downcast_ref)
}

/// `retry_if_result = predicate`.
#[inline]
pub fn by_value<O>(outcome: &O, predicate: impl FnOnce(&O) -> bool) -> Verdict {
    Verdict::transient_if(predicate(outcome))
}

// What the expansion of `#[circuit_breaker]` asks.

/// Without `failure_if`: every `Err` and every `None` is a failure.
#[inline]
pub fn end<O: Returned>(permit: Permit<'_>, outcome: &O) -> Passage {
    permit.pass(if outcome.error().is_some() { Outcome::Failure } else { Outcome::Success })
}

/// `failure_if` over the error: the errors that it leaves out are neutral.
#[inline]
pub fn end_by_error<O: Returned>(
    permit: Permit<'_>,
    outcome: &O,
    predicate: impl FnOnce(&O::Error) -> bool,
) -> Passage {
    permit.pass(match outcome.error() {
        None => Outcome::Success,
        Some(error) if predicate(error) => Outcome::Failure,
        Some(_) => Outcome::Neutral,
    })
}

/// `failure_if(Type, ...)`
#[inline]
pub fn end_by_chain<O: Returned>(
    permit: Permit<'_>,
    outcome: &O,
    show: fn(&O::Error) -> &(dyn Error + 'static),
    types: &[IsType],
) -> Passage {
    end_by_error(permit, outcome, |error| is_any_of(show(error), types))
}

/// What a call returns that the circuit does not admit.
#[inline]
#[must_use]
pub fn reject<O: Returned<Error: CarriesRejection<CircuitOpen>>>(open: &CircuitOpen) -> O {
    O::from_error(O::Error::carry(open.clone()))
}

// Error types in a chain of sources: `retry_if(io::Error)`, `failure_if(io::Error)`.

/// Asks whether an error is of one type.
pub type IsType = fn(&(dyn Error + 'static)) -> bool;

/// Whether the error is an `E`.
#[must_use]
pub fn is_type<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>()
}

/// Whether the error, or anything in its chain of sources, is of one of the types.
#[must_use]
pub fn is_any_of(error: &(dyn Error + 'static), types: &[IsType]) -> bool {
    sources(error).any(|error| types.iter().any(|is_type| is_type(error)))
}

/// Whether a rejection is of one of the types.
#[must_use]
pub fn wants_rejection(open: &CircuitOpen, types: &[IsType]) -> bool {
    is_any_of(open, types)
}

/// Calls a closure in place. It is an `FnOnce`, so that it may give away what it captures, and return a `&mut` to it.
#[inline]
pub fn once<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// What `#[transient(retry_after = field)]` takes for a wait.
#[diagnostic::on_unimplemented(
    message = "`retry_after` takes a `Duration` or an `Option<Duration>`, and this field is a `{Self}`",
    label = "no duration"
)]
pub trait RetryAfter: Copy {
    /// The wait, if there is one.
    fn retry_after(self) -> Option<Duration>;
}

impl RetryAfter for Duration {
    fn retry_after(self) -> Option<Duration> {
        Some(self)
    }
}

impl RetryAfter for Option<Duration> {
    fn retry_after(self) -> Self {
        self
    }
}

/// Pins the type of an `async` block: stands in a `return` that is never reached.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the expansion returns this under `if false`")
}

/// An owned argument of a retried function, which each attempt gets for itself.
///
/// Cloned for every attempt but the last that the policy allows, which gets the caller's own.
#[derive(Debug)]
pub struct Argument<T>(Option<T>);

impl<T> Argument<T> {
    /// Takes the caller's value.
    pub const fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value for the next attempt.
    pub fn next(&mut self, is_last: bool) -> T
    where
        T: CloneForRetry,
    {
        let value = if is_last { self.0.take() } else { self.0.as_ref().map(T::clone_for_retry) };
        value.unwrap_or_else(|| unreachable!("no attempt follows the last"))
    }
}

/// `Clone`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "a retry needs this argument more than once, and `{Self}` is not `Clone`",
    label = "the body moves or changes it, so each attempt needs one of its own",
    note = "take it by reference, or make it `Clone`"
)]
pub trait CloneForRetry: Sized {
    /// A clone.
    #[must_use]
    fn clone_for_retry(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> CloneForRetry for T {
    fn clone_for_retry(&self) -> Self {
        self.clone()
    }
}

/// Asks whether a `self` that an attempt uses up is there for the next one.
#[inline]
pub const fn used_up<T: Reusable>(_: &T) {}

/// `Copy`, in words of our own.
#[diagnostic::on_unimplemented(
    message = "the body uses `self` up, and a retry needs it for each attempt",
    label = "a `{Self}` is not `Copy`",
    note = "take `&self`, or begin the body with a clone and use that up: `let this = self.clone();`"
)]
pub trait Reusable {}

#[diagnostic::do_not_recommend]
impl<T: Copy> Reusable for T {}

/// Shows an error as `&dyn Error`, whether it is an [`Error`] itself or, as `anyhow::Error` and boxed errors do, points
/// to one.
///
/// `(&&AsError(error)).as_error()` takes the first of the traits below that fits, by the order in which method calls
/// look for one.
#[derive(Debug)]
pub struct AsError<'a, E>(pub &'a E);

/// First choice: the type is an error.
pub trait IsError<'a> {
    /// The error.
    fn as_error(&self) -> &'a (dyn Error + 'static);
}

impl<'a, E: Error + 'static> IsError<'a> for &AsError<'a, E> {
    fn as_error(&self) -> &'a (dyn Error + 'static) {
        self.0
    }
}

/// Second choice: the type points to an error.
pub trait PointsToError<'a> {
    /// The error.
    fn as_error(&self) -> &'a (dyn Error + 'static);
}

impl<'a, E: std::ops::Deref<Target: AnyError>> PointsToError<'a> for &&AsError<'a, E> {
    fn as_error(&self) -> &'a (dyn Error + 'static) {
        self.0.deref().any_error()
    }
}

/// What remains: a type that is no error, and an explanation.
pub trait IsNoError<'a> {
    /// The error type.
    type Error;

    /// Never callable.
    fn as_error(&self) -> &'a (dyn Error + 'static)
    where
        Self::Error: HasChain;
}

impl<'a, E> IsNoError<'a> for AsError<'a, E> {
    type Error = E;

    fn as_error(&self) -> &'a (dyn Error + 'static)
    where
        E: HasChain,
    {
        self.0.chain()
    }
}

/// An error with a chain of sources. Nothing implements it; it is there for what it says when it is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error: it has no chain of sources in which to look for a type",
    label = "does not implement `std::error::Error`",
    note = "implement `std::error::Error` for it, or take a predicate: `retry_if = |error| ...`, `failure_if = |error| ...`"
)]
pub trait HasChain {
    /// The error.
    fn chain(&self) -> &(dyn Error + 'static);
}

/// Looks at an error as `&dyn Error` where it can be, by the same order.
#[derive(Debug)]
pub struct LookAt<'a, E>(pub &'a E);

/// First choice: the type is an error.
pub trait LookAtError<'a> {
    /// The error.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: Error + 'static> LookAtError<'a> for &LookAt<'a, E> {
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        Some(self.0)
    }
}

/// Second choice: the type points to an error.
pub trait LookThrough<'a> {
    /// The error.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: std::ops::Deref<Target: AnyError>> LookThrough<'a> for &&LookAt<'a, E> {
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        Some(self.0.deref().any_error())
    }
}

/// What remains: a type in which there is nothing to see.
pub trait LookAway<'a> {
    /// Nothing.
    fn look(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E> LookAway<'a> for LookAt<'a, E> {
    fn look(&self) -> Option<&'a (dyn Error + 'static)> {
        None
    }
}

/// The three ways to write "any error".
pub trait AnyError {
    /// The error.
    fn any_error(&self) -> &(dyn Error + 'static);
}

impl AnyError for dyn Error {
    fn any_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AnyError for dyn Error + Send {
    fn any_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AnyError for dyn Error + Send + Sync {
    fn any_error(&self) -> &(dyn Error + 'static) {
        self
    }
}
