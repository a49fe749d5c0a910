use std::{marker::PhantomData, time::Duration};

use crate::{CircuitOpen, errors::convert_by};

/// Calls a predicate with an error or a returned value: `retry_if`, `failure_if`, `#[fallback(if = ...)]`, `retry_if_result`,
/// `failure_if_result`.
#[inline]
pub fn predicate<T>(value: &T, predicate: impl FnOnce(&T) -> bool) -> bool {
    predicate(value)
}

/// Calls a predicate of `#[retry]` with an error or a returned value and the number of the attempt; the first attempt is number 1.
#[inline]
pub fn attempt_predicate<T>(value: &T, attempt: u32, predicate: impl FnOnce(&T, u32) -> bool) -> bool {
    predicate(value, attempt)
}

/// Calls the hook `on_retry` with the number of the failed attempt, the delay before the next attempt, and the error (with
/// `retry_if_result`, the returned value).
#[inline]
pub fn retry_hook<T>(attempt: u32, delay: Duration, value: &T, hook: impl FnOnce(u32, Duration, &T)) {
    hook(attempt, delay, value);
}

/// Calls the hook `on_retry` with the arguments of [`retry_hook`] and the time since the first attempt.
#[inline]
pub fn timed_retry_hook<T>(
    attempt: u32,
    delay: Duration,
    value: &T,
    elapsed: Duration,
    hook: impl FnOnce(u32, Duration, &T, Duration),
) {
    hook(attempt, delay, value, elapsed);
}

/// Calls a closure of `#[fallback]` with the error.
#[inline]
pub fn fallback_closure<E, R>(error: E, closure: impl FnOnce(E) -> R) -> R {
    closure(error)
}

/// Calls the option `rejection` of `#[circuit_breaker]`, and records the rejection for the retries around the call, since the error that is
/// made may not contain it. The second argument is the type of the error, or of the whole value if the function does not return a `Result`.
#[inline]
pub fn circuit_rejection<E>(open: CircuitOpen, _: PhantomData<E>, make: impl FnOnce(CircuitOpen) -> E) -> E {
    convert_by(open, make)
}

/// Calls the option `rejection` of `#[rate_limit]`, `#[bulkhead]` or `#[timeout]`, like [`circuit_rejection`].
#[inline]
pub fn rejection<R, E>(rejection: R, _: PhantomData<E>, make: impl FnOnce(R) -> E) -> E {
    make(rejection)
}
