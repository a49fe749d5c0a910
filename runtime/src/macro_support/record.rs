//! Records the outcome of a call at a circuit breaker.

use std::error::Error;

use super::{IsType, contains_any};
use crate::{Permit, breaker::PanicGuard, keying::Keying, stack::Disposition};

/// Records a failed call without `failure_if`: every error is a failure.
#[inline]
#[must_use]
pub fn record<E, K: Keying>(permit: Permit<'_, K>, _: &E) -> Disposition {
    permit.fail_with_disposition(false)
}

/// Records a failed call with `failure_if = predicate`: an error for which the predicate returns false is ignored.
#[inline]
pub fn record_if<E, K: Keying>(
    mut permit: Permit<'_, K>,
    error: &E,
    predicate: impl FnOnce(&E) -> bool,
) -> Disposition {
    // A panic of the predicate counts as a panic of the call.
    let guard = PanicGuard::new(&mut permit);
    let is_ignored = !predicate(error);
    guard.disarm();
    permit.fail_with_disposition(is_ignored)
}

/// Records a failed call with `failure_if(Type, ...)`: an error without one of the types in its chain of sources is ignored.
#[inline]
pub fn record_by_chain<E, K: Keying>(
    permit: Permit<'_, K>,
    error: &E,
    as_dyn_error: fn(&E) -> &(dyn Error + 'static),
    types: &[IsType],
) -> Disposition {
    record_if(permit, error, |error| contains_any(as_dyn_error(error), types))
}
