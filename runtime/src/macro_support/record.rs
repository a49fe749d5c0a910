//! Records the outcome of a call at a circuit breaker.

use std::{error::Error, fmt::Display, hint};

use super::{IsType, contains_any};
use crate::{Permit, breaker::PanicGuard, keying::Keying, stack::Disposition};

/// Returns the error of a failed call if its type implements [`Display`].
type DisplayOf<E> = fn(&E) -> Option<&dyn Display>;

/// Records a call whose value is a success. The option `rejection` of a layer below may have made that value: then the disposition decides.
#[inline]
#[must_use]
pub fn record_by_disposition<K: Keying>(permit: Permit<'_, K>, disposition: Disposition) -> Disposition {
    match disposition {
        Disposition::Called | Disposition::CalledAndOpened(_) => permit.success(),
        Disposition::TimedOut => {
            return disposition.or(permit.fail_with_disposition(false, Some(&"the call timed out")));
        }
        Disposition::CircuitRejected(_) | Disposition::LimitRejected => permit.ignore(),
    }
    disposition
}

/// Records a failed call without `failure_if`: every error is a failure.
#[inline]
#[must_use]
pub fn record<E, K: Keying>(permit: Permit<'_, K>, display: DisplayOf<E>, error: &E) -> Disposition {
    permit.fail_with_disposition(false, display(error))
}

/// Records a failed call with `failure_if = predicate`: an error for which the predicate returns false is ignored.
#[inline]
pub fn record_if<E, K: Keying>(
    mut permit: Permit<'_, K>,
    display: DisplayOf<E>,
    error: &E,
    predicate: impl FnOnce(&E) -> bool,
) -> Disposition {
    // A panic of the predicate counts as a panic of the call.
    let guard = PanicGuard::new(&mut permit);
    let is_ignored = !predicate(error);
    guard.disarm();
    permit.fail_with_disposition(is_ignored, display(error))
}

/// Records a failed call with `failure_if(Type, ...)`: an error without one of the types in its chain of sources is ignored.
#[inline]
pub fn record_by_chain<E, K: Keying>(
    permit: Permit<'_, K>,
    display: DisplayOf<E>,
    error: &E,
    as_dyn_error: fn(&E) -> &(dyn Error + 'static),
    types: &[IsType],
) -> Disposition {
    record_if(permit, display, error, |error| contains_any(as_dyn_error(error), types))
}

/// Records a call with `failure_if_result = predicate`: a success, unless the predicate returns true for the value. `display` returns the error
/// in the value, if there is one and its type implements [`Display`].
#[inline]
pub fn record_by_result<R, K: Keying>(
    mut permit: Permit<'_, K>,
    display: DisplayOf<R>,
    value: &R,
    predicate: impl FnOnce(&R) -> bool,
) -> Disposition {
    let guard = PanicGuard::new(&mut permit);
    let is_failure = predicate(value);
    guard.disarm();
    if is_failure {
        hint::cold_path();
        let failure = display(value).unwrap_or(&"`failure_if_result` selected the value");
        return permit.fail_with_disposition(false, Some(failure));
    }
    permit.success();
    Disposition::Called
}
