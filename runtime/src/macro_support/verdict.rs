//! Verdicts for `#[retry]`: whether the outcome of an attempt is worth another one.

use std::{error::Error, time::Duration};

use super::{IsType, contains_any, wants_rejection};
use crate::{
    CircuitOpen,
    stack::Verdict,
    transient::chain::{is_rejection, sources},
};

/// Without `retry_if`: the verdict of the error type. `error` is [`CallResult::error`](crate::bounds::CallResult::error).
// The function is passed, not its result: the call of an async function then takes one instruction less.
#[inline]
pub fn verdict_by_type<O, E>(outcome: &O, error: fn(&O) -> Option<&E>, judge: fn(&E) -> Verdict) -> Verdict {
    error(outcome).map_or(Verdict::Success, judge)
}

/// The verdict of an error type that implements [`Transient`](crate::Transient), from the trait's methods.
#[inline]
pub fn verdict_of(
    is_transient: bool,
    retry_after: impl FnOnce() -> Option<Duration>,
    is_rejection: impl FnOnce() -> bool,
) -> Verdict {
    if is_transient {
        return Verdict::Transient { retry_after: retry_after() };
    }
    if is_rejection() { Verdict::Rejected } else { Verdict::Final }
}

/// `retry_if = any`. A rejection by a breaker further inside is not retried; `look` returns the error if it implements [`Error`].
#[inline]
pub fn verdict_by_any<E>(error: Option<&E>, look: fn(&E) -> Option<&(dyn Error + 'static)>) -> Verdict {
    verdict_by_error(error, |_| true, look)
}

/// `retry_if = predicate`, with `look` as in [`verdict_by_any`].
#[inline]
pub fn verdict_by_error<E>(
    error: Option<&E>,
    predicate: impl FnOnce(&E) -> bool,
    look: fn(&E) -> Option<&(dyn Error + 'static)>,
) -> Verdict {
    error.map_or(Verdict::Success, |error| {
        let (is_transient, error) = (predicate(error), look(error));
        match error.and_then(rejection) {
            Some(_) => Verdict::Rejected,
            None if is_transient => Verdict::transient_if(true),
            None => error.map_or(Verdict::Final, final_verdict),
        }
    })
}

/// `retry_if(Type, ...)`
#[inline]
pub fn verdict_by_chain<E>(error: Option<&E>, show: fn(&E) -> &(dyn Error + 'static), types: &[IsType]) -> Verdict {
    error.map_or(Verdict::Success, |error| chain_verdict(show(error), types))
}

fn chain_verdict(error: &(dyn Error + 'static), types: &[IsType]) -> Verdict {
    match rejection(error) {
        Some(open) => Verdict::rejected(open.retry_after(), wants_rejection(types)),
        None if !contains_any(error, types) => final_verdict(error),
        None if wants_rejection(types) => Verdict::Wanted { retry_after: None },
        None => Verdict::transient_if(true),
    }
}

/// The verdict on an error that is not worth another attempt.
fn final_verdict(error: &(dyn Error + 'static)) -> Verdict {
    if is_rejection(error) { Verdict::Rejected } else { Verdict::Final }
}

/// Returns the rejection in a chain of sources.
fn rejection<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CircuitOpen> {
    sources(error).find_map(<dyn Error>::downcast_ref)
}

/// `retry_if_result = predicate`, from the result of the predicate.
#[inline]
#[must_use]
pub const fn verdict_by_result(is_worth_another: bool) -> Verdict {
    if is_worth_another { Verdict::Transient { retry_after: None } } else { Verdict::Success }
}

/// Calls the hook `on_retry` for a failed attempt.
#[inline]
pub fn on_retry<E>(error: Option<&E>, hook: impl FnOnce(&E)) {
    if let Some(error) = error {
        hook(error);
    }
}
