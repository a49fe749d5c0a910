//! Verdicts for `#[retry]`, which decide whether the outcome of an attempt leads to another attempt.

use std::{error::Error, time::Duration};

use super::{IsType, contains_any, includes_circuit_open};
use crate::{
    CircuitOpen,
    stack::Verdict,
    transient::chain::{is_rejection, sources},
};

/// Returns the verdict without `retry_if`: that of the error type, which `judge` returns.
#[inline]
pub fn verdict_by_type<E>(error: Option<&E>, judge: fn(&E) -> Verdict) -> Verdict {
    error.map_or(Verdict::Success, judge)
}

/// Returns the verdict on an error that implements [`Transient`](crate::Transient), from the results of the trait's methods.
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

/// Returns the verdict with `retry_if = any`: all errors are transient, except rejections by a circuit breaker. `look` returns the error if
/// it implements [`Error`].
#[inline]
pub fn verdict_by_any<E>(error: Option<&E>, look: fn(&E) -> Option<&(dyn Error + 'static)>) -> Verdict {
    verdict_by_error(error, |_| true, look)
}

/// Returns the verdict with `retry_if = predicate`. `look` is as in [`verdict_by_any`].
#[inline]
pub fn verdict_by_error<E>(
    error: Option<&E>,
    predicate: impl FnOnce(&E) -> bool,
    look: fn(&E) -> Option<&(dyn Error + 'static)>,
) -> Verdict {
    error.map_or(Verdict::Success, |error| {
        let (is_transient, error) = (predicate(error), look(error));
        match error.and_then(circuit_open) {
            Some(_) => Verdict::Rejected,
            None if is_transient => Verdict::transient_if(true),
            None => error.map_or(Verdict::Final, final_verdict),
        }
    })
}

/// Returns the verdict with `retry_if(Type, ...)`: an error is transient if its chain of sources contains one of the types. A rejection by
/// a circuit breaker is retried only if one of the types is [`CircuitOpen`].
#[inline]
pub fn verdict_by_chain<E>(
    error: Option<&E>,
    as_dyn_error: fn(&E) -> &(dyn Error + 'static),
    types: &[IsType],
) -> Verdict {
    error.map_or(Verdict::Success, |error| chain_verdict(as_dyn_error(error), types))
}

fn chain_verdict(error: &(dyn Error + 'static), types: &[IsType]) -> Verdict {
    match circuit_open(error) {
        Some(open) => Verdict::rejected(open.retry_after(), includes_circuit_open(types)),
        None if !contains_any(error, types) => final_verdict(error),
        None if includes_circuit_open(types) => Verdict::RetriedRejection { retry_after: None },
        None => Verdict::transient_if(true),
    }
}

/// Returns the verdict on an error that is not retried.
fn final_verdict(error: &(dyn Error + 'static)) -> Verdict {
    if is_rejection(error) { Verdict::Rejected } else { Verdict::Final }
}

/// Returns the first rejection by a circuit breaker in a chain of sources.
fn circuit_open<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CircuitOpen> {
    sources(error).find_map(<dyn Error>::downcast_ref)
}

/// Returns the verdict with `retry_if_result = predicate`, from the result of the predicate.
#[inline]
#[must_use]
pub const fn verdict_by_result(should_retry: bool) -> Verdict {
    if should_retry { Verdict::Transient { retry_after: None } } else { Verdict::Success }
}

/// Calls the hook `on_retry` with the error of a failed attempt.
#[inline]
pub fn on_retry<E>(error: Option<&E>, hook: impl FnOnce(&E)) {
    if let Some(error) = error {
        hook(error);
    }
}
