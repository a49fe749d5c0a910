//! The counts of a fallback, and the guard that counts one call.

use std::{any::Any, mem, thread};

use super::snapshot::FallbackSnapshot;
#[cfg(feature = "keyed")]
use crate::KeyedBreakers;
use crate::{
    CircuitBreaker,
    isolation::isolated,
    registry::is_of_other_doc_test,
    stack::Disposition,
    totals::{Count, Totals},
};

/// The counts of the calls of one function with `#[fallback]`, or of all [`Fallback`](super::Fallback)s of one name.
#[derive(Debug)]
pub struct FallbackCounts {
    name: &'static str,
    breakers: &'static [StackBreaker],
    /// The path of the module that contains the function.
    module: &'static str,
    /// The counts of [`ANSWERED`], [`FALLBACK`], [`FAILED`], [`CANCELLED`] and [`PANICKED`].
    totals: Totals,
}

/// A circuit breaker of the same stack.
#[derive(Clone, Copy, Debug)]
pub enum StackBreaker {
    /// The breaker, or the breakers by key, with this name.
    Named(&'static str),
    /// A static of the user: a [`CircuitBreaker`] or a `KeyedBreakers`.
    Static(&'static (dyn Any + Send + Sync)),
}

const ANSWERED: Count = Count::Success;
const FALLBACK: Count = Count::Ignored;
const FAILED: Count = Count::Failure;
const CANCELLED: Count = Count::Cancelled;
const PANICKED: Count = Count::Rejection;

impl FallbackCounts {
    /// Creates counts of zero. `module` is the path of the module that contains the function.
    #[must_use]
    pub const fn new(name: &'static str, breakers: &'static [StackBreaker], module: &'static str) -> Self {
        Self { name, breakers, module, totals: Totals::sharded() }
    }

    /// Begins a call.
    #[inline]
    pub fn begin(&'static self) -> FallbackCall {
        FallbackCall(self.isolated())
    }

    /// Returns the counts, or their counterpart in the isolation that this thread has entered.
    #[inline]
    fn isolated(&'static self) -> &'static Self {
        isolated(self, || Self::new(self.name, self.breakers, self.module))
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns true if the function is part of another doc test than the one that this process runs.
    pub(super) fn is_of_other_doc_test(&self, running: Option<&str>) -> bool {
        is_of_other_doc_test(self.module, running)
    }

    /// Adds the counts of the program, or of the isolation that this thread has entered, and the names of the breakers.
    pub(super) fn add_to(&'static self, sum: &mut FallbackSnapshot) {
        let totals = self.isolated().totals.sums();
        for (count, field) in [
            (ANSWERED, &mut sum.answered),
            (FALLBACK, &mut sum.fallback),
            (FAILED, &mut sum.failed),
            (CANCELLED, &mut sum.cancelled),
            (PANICKED, &mut sum.panicked),
        ] {
            *field = field.saturating_add(totals.get(count));
        }
        for name in self.breakers.iter().filter_map(StackBreaker::name) {
            if let Err(index) = sum.breakers.binary_search(&name) {
                sum.breakers.insert(index, name);
            }
        }
    }
}

impl StackBreaker {
    /// Returns the name; `None` for a static of another type.
    fn name(&self) -> Option<&'static str> {
        match *self {
            Self::Named(name) => Some(name),
            Self::Static(own) => {
                let own: &'static dyn Any = own;
                let name = own.downcast_ref().map(<CircuitBreaker>::name);
                #[cfg(feature = "keyed")]
                let name = name.or_else(|| own.downcast_ref().map(KeyedBreakers::name));
                name
            }
        }
    }
}

/// A call that has begun. It is counted once: by one of the methods, or when it is dropped, as cancelled or panicked.
///
/// The methods have the ABI `"C"` for the same reason as `record_success` of a breaker: they do not unwind, so that the compiler builds the
/// value of the call in the caller's return slot.
#[derive(Debug)]
#[must_use = "a call that is dropped counts as cancelled"]
pub struct FallbackCall(&'static FallbackCounts);

#[allow(improper_ctypes_definitions, reason = "only Rust code calls these functions")]
impl FallbackCall {
    /// Counts a call that has succeeded without a fallback.
    #[inline]
    pub extern "C" fn answered(self) {
        self.end(ANSWERED);
    }

    /// Counts a call that has succeeded without a fallback. If the `disposition` is that of a rejection or a timeout, the option `rejection`
    /// has made the value, and the call counts as answered by a fallback.
    #[inline]
    pub extern "C" fn answered_by(self, disposition: Disposition) {
        self.end(match disposition {
            Disposition::Called | Disposition::CalledAndOpened(_) => ANSWERED,
            Disposition::TimedOut | Disposition::CircuitRejected(_) | Disposition::LimitRejected => FALLBACK,
        });
    }

    /// Counts a call that a fallback has answered.
    #[inline]
    pub extern "C" fn answered_by_fallback(self) {
        self.end(FALLBACK);
    }

    /// Counts a call that returns an error.
    #[cold]
    pub extern "C" fn failed(self) {
        self.end(FAILED);
    }

    /// Counts a call whose function has failed, and returns the `result` of the call.
    pub(super) fn end_with<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        self.end(if result.is_ok() { FALLBACK } else { FAILED });
        result
    }

    #[inline]
    fn end(self, count: Count) {
        let Self(counts) = self;
        counts.totals.add(count);
        mem::forget(self);
    }
}

impl Drop for FallbackCall {
    #[cold]
    fn drop(&mut self) {
        let Self(counts) = self;
        counts.totals.add(if thread::panicking() { PANICKED } else { CANCELLED });
    }
}
