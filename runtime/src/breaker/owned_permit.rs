//! The permit that holds its breaker.

use std::{fmt, fmt::Display, mem, sync::Arc};

use super::{CircuitBreaker, Permit, engine::Failure, state::Admission};
use crate::{
    CircuitOpen,
    keying::{Keying, Unkeyed},
};

/// The permit for one call that holds its breaker, so that it can be stored, or moved into a task or a thread.
///
/// Returned by [`CircuitBreaker::try_acquire_owned`] of a breaker in an `Arc`, and by `KeyedBreakers::try_acquire_owned`. The permit of a
/// breaker in a `static` is a `Permit<'static>`, which can be stored as well; it converts into an `OwnedPermit`. In all other respects, the
/// permit is like a [`Permit`]: dropped without an outcome, it counts as cancelled.
///
/// ```
/// use std::{sync::Arc, thread};
/// use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen, OwnedPermit};
///
/// let breaker = Arc::new(CircuitBreaker::new("uploads", BreakerConfig::new()));
/// let permit: OwnedPermit = breaker.try_acquire_owned()?;
/// thread::spawn(move || permit.success()).join().unwrap();
/// assert_eq!(breaker.snapshot().successes, 1);
///
/// static DOWNLOADS: CircuitBreaker = CircuitBreaker::new("downloads", BreakerConfig::new());
/// let permit: OwnedPermit = DOWNLOADS.try_acquire()?.into();
/// permit.failure();
/// # Ok::<(), CircuitOpen>(())
/// ```
#[must_use = "a permit that is dropped at once counts as cancelled: report `success` or `failure` when the call has ended"]
pub struct OwnedPermit<K: Keying = Unkeyed> {
    breaker: Holder<K>,
    /// `None` once the outcome has been reported.
    admission: Option<Admission>,
}

/// A breaker that lives as long as it is held.
enum Holder<K: Keying> {
    Static(&'static CircuitBreaker<K>),
    Shared(Arc<CircuitBreaker<K>>),
}

impl<K: Keying> CircuitBreaker<K> {
    /// Requests admission for one call, with a permit that holds the breaker.
    ///
    /// A breaker in a `static` needs no such permit: [`try_acquire`](Self::try_acquire) returns a `Permit<'static>` for it.
    ///
    /// # Errors
    ///
    /// Returns [`CircuitOpen`] if the circuit rejects the call.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Result<OwnedPermit<K>, CircuitOpen> {
        let admission = self.view().admit()?;
        Ok(OwnedPermit { breaker: Holder::Shared(self.clone()), admission: Some(admission) })
    }
}

impl<K: Keying> OwnedPermit<K> {
    /// Reports a success.
    pub fn success(mut self) {
        if let Some(admission) = self.admission.take() {
            self.breaker().view().succeed(admission);
        }
    }

    /// Reports a failure of the dependency.
    pub fn failure(self) {
        self.fail(false, None);
    }

    /// Reports a failure of the dependency, with its error: see [`Permit::failure_with`].
    pub fn failure_with(self, error: &dyn Display) {
        self.fail(false, Some(error));
    }

    /// Reports that the call is not evidence of success or failure: see [`Permit::ignore`].
    pub fn ignore(self) {
        self.fail(true, None);
    }

    fn fail(mut self, is_ignored: bool, failure: Failure<'_>) {
        if let Some(admission) = self.admission.take() {
            self.breaker().view().fail(admission, is_ignored, failure);
        }
    }

    fn breaker(&self) -> &CircuitBreaker<K> {
        match &self.breaker {
            Holder::Static(breaker) => breaker,
            Holder::Shared(breaker) => breaker,
        }
    }
}

impl<K: Keying> Drop for OwnedPermit<K> {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.breaker().view().abort(admission);
        }
    }
}

impl<K: Keying> From<Permit<'static, K>> for OwnedPermit<K> {
    fn from(permit: Permit<'static, K>) -> Self {
        let (breaker, admission) = permit.parts();
        mem::forget(permit);
        Self { breaker: Holder::Static(breaker), admission: Some(admission) }
    }
}

impl<K: Keying> fmt::Debug for OwnedPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("breaker", &self.breaker().view().name()).finish_non_exhaustive()
    }
}
