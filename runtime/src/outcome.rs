//! What a function's returned value means to a retry and to a breaker.
//!
//! Everything here is called from expansions with the span of the user's return type, so that a type that does not fit
//! is reported there.

mod answer;
mod argument;
mod carry;
mod inherit;
mod last;
mod show;

use std::{error::Error, time::Duration};

pub use self::{answer::*, argument::*, carry::*, inherit::*, last::*, show::*};
use crate::{
    BulkheadFull, CircuitOpen, Permit, RateLimited, TimedOut, Transient,
    breaker::PanicMark,
    keying::Keying,
    stack::{Disposition, Verdict},
    transient::chain::{is_rejection, sources},
};

/// What a guarded function returns: a `Result` or an `Option`.
///
/// One trait for everything that is asked of the type, so that a type that fits nothing is one error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the call failed",
    label = "neither a `Result` nor an `Option`",
    note = "return a `Result` or an `Option`; a `#[retry]` on its own can judge any value: `retry_if_result = |value| ...`"
)]
pub trait CallResult {
    /// The error type; for an `Option`, which has none, [`NoneError`].
    type Error;

    /// The error, if the call failed.
    fn error(&self) -> Option<&Self::Error>;

    /// The error by value, if the call failed, or else what it returned.
    fn into_error(self) -> Result<Self::Error, Self>
    where
        Self: Sized;

    /// The value that a call returns which the circuit does not admit.
    fn from_error(error: Self::Error) -> Self;
}

impl<T, E> CallResult for Result<T, E> {
    type Error = E;

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }

    fn into_error(self) -> Result<E, Self> {
        match self {
            Err(error) => Ok(error),
            success @ Ok(_) => Err(success),
        }
    }

    fn from_error(error: E) -> Self {
        Err(error)
    }
}

impl<T> CallResult for Option<T> {
    type Error = NoneError;

    fn error(&self) -> Option<&NoneError> {
        self.is_none().then_some(&NoneError)
    }

    fn into_error(self) -> Result<NoneError, Self> {
        self.is_none().then_some(NoneError).ok_or(self)
    }

    fn from_error(_: NoneError) -> Self {
        None
    }
}

/// The error of an `Option`: that there is nothing. Always worth another attempt. What `on_retry` gets of a function that
/// returns one.
#[derive(Debug)]
pub struct NoneError;

impl Transient for NoneError {
    fn is_transient(&self) -> bool {
        true
    }
}

impl From<CircuitOpen> for NoneError {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

impl From<RateLimited> for NoneError {
    fn from(_: RateLimited) -> Self {
        Self
    }
}

impl From<BulkheadFull> for NoneError {
    fn from(_: BulkheadFull) -> Self {
        Self
    }
}

impl From<TimedOut> for NoneError {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

// What the expansion of `#[retry]` asks.

/// Without `retry_if`: what the error type says.
#[inline]
pub fn by_type<O: CallResult>(outcome: &O, judge: fn(&O::Error) -> Verdict) -> Verdict {
    outcome.error().map_or(Verdict::Success, judge)
}

/// `retry_if = any`. `look` shows the error, if it is one: a rejection by a breaker further inside is not retried.
#[inline]
pub fn by_any<O: CallResult>(outcome: &O, look: fn(&O::Error) -> Option<&(dyn Error + 'static)>) -> Verdict {
    by_error(outcome, |_| true, look)
}

/// `retry_if = predicate`, with `look` as above.
#[inline]
pub fn by_error<O: CallResult>(
    outcome: &O,
    predicate: impl FnOnce(&O::Error) -> bool,
    look: fn(&O::Error) -> Option<&(dyn Error + 'static)>,
) -> Verdict {
    outcome.error().map_or(Verdict::Success, |error| {
        let (is_transient, error) = (predicate(error), look(error));
        match error.and_then(rejection) {
            Some(_) => Verdict::Rejected,
            None if is_transient => Verdict::transient_if(true),
            None => error.map_or(Verdict::Final, end_by),
        }
    })
}

/// `retry_if = |error, attempt| ...`
#[inline]
pub fn by_error_at<O: CallResult>(
    outcome: &O,
    attempt: u32,
    predicate: impl FnOnce(&O::Error, u32) -> bool,
    look: fn(&O::Error) -> Option<&(dyn Error + 'static)>,
) -> Verdict {
    by_error(outcome, |error| predicate(error, attempt), look)
}

/// `retry_if(Type, ...)`
#[inline]
pub fn by_chain<O: CallResult>(
    outcome: &O,
    show: fn(&O::Error) -> &(dyn Error + 'static),
    types: &[IsType],
) -> Verdict {
    outcome.error().map_or(Verdict::Success, |error| chain_verdict(show(error), types))
}

fn chain_verdict(error: &(dyn Error + 'static), types: &[IsType]) -> Verdict {
    match rejection(error) {
        Some(open) => Verdict::rejected(open.retry_after(), wants_rejection(types)),
        None if !is_any_of(error, types) => end_by(error),
        None if wants_rejection(types) => Verdict::Wanted { retry_after: None },
        None => Verdict::transient_if(true),
    }
}

/// What an error means that is not worth another attempt.
fn end_by(error: &(dyn Error + 'static)) -> Verdict {
    if is_rejection(error) { Verdict::Rejected } else { Verdict::Final }
}

/// The rejection in a chain of sources.
fn rejection<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CircuitOpen> {
    sources(error).find_map(<dyn Error>::downcast_ref)
}

/// `retry_if_result = predicate`.
#[inline]
pub fn by_value<O>(outcome: &O, predicate: impl FnOnce(&O) -> bool) -> Verdict {
    if predicate(outcome) { Verdict::Transient { retry_after: None } } else { Verdict::Success }
}

/// `retry_if_result = |value, attempt| ...`
#[inline]
pub fn by_value_at<O>(outcome: &O, attempt: u32, predicate: impl FnOnce(&O, u32) -> bool) -> Verdict {
    by_value(outcome, |outcome| predicate(outcome, attempt))
}

/// `on_retry = hook`, over the error.
#[inline]
pub fn on_retry<O: CallResult>(
    outcome: &O,
    attempt: u32,
    delay: Duration,
    hook: impl FnOnce(u32, Duration, &O::Error),
) {
    if let Some(error) = outcome.error() {
        hook(attempt, delay, error);
    }
}

/// The same where the whole value is judged.
#[inline]
pub fn on_retry_value<O>(outcome: &O, attempt: u32, delay: Duration, hook: impl FnOnce(u32, Duration, &O)) {
    hook(attempt, delay, outcome);
}

/// `on_retry = |attempt, delay, error, elapsed| ...`
#[inline]
pub fn on_retry_timed<O: CallResult>(
    outcome: &O,
    attempt: u32,
    delay: Duration,
    elapsed: Duration,
    hook: impl FnOnce(u32, Duration, &O::Error, Duration),
) {
    on_retry(outcome, attempt, delay, |attempt, delay, error| hook(attempt, delay, error, elapsed));
}

/// The same where the whole value is judged.
#[inline]
pub fn on_retry_value_timed<O>(
    outcome: &O,
    attempt: u32,
    delay: Duration,
    elapsed: Duration,
    hook: impl FnOnce(u32, Duration, &O, Duration),
) {
    hook(attempt, delay, outcome, elapsed);
}

// What the expansion of `#[circuit_breaker]` asks.

/// Without `failure_if`: every `Err` and every `None` is a failure.
#[inline]
pub fn end<O: CallResult, K: Keying>(permit: Permit<'_, K>, outcome: &O) -> Disposition {
    end_by_error(permit, outcome, |_| true)
}

/// `failure_if` over the error: the errors that it leaves out are neutral.
#[inline]
pub fn end_by_error<O: CallResult, K: Keying>(
    mut permit: Permit<'_, K>,
    outcome: &O,
    predicate: impl FnOnce(&O::Error) -> bool,
) -> Disposition {
    match outcome.error() {
        None => {
            permit.success();
            Disposition::Called
        }
        Some(error) => {
            // A predicate is code of the call.
            let mark = PanicMark::new(&mut permit);
            let is_neutral = !predicate(error);
            mark.returned();
            permit.pass_on(is_neutral)
        }
    }
}

/// `failure_if(Type, ...)`
#[inline]
pub fn end_by_chain<O: CallResult, K: Keying>(
    permit: Permit<'_, K>,
    outcome: &O,
    show: fn(&O::Error) -> &(dyn Error + 'static),
    types: &[IsType],
) -> Disposition {
    end_by_error(permit, outcome, |error| is_any_of(show(error), types))
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
