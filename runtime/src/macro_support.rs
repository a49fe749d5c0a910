//! The functions and traits that generated code calls in addition to the public interface. Exported as `__private`.
//!
//! **Invariant:** no compile error names an item of this module. Therefore each requirement on a user's type is a trait in
//! [`bounds`](crate::bounds), and generated code checks it by a call through the path of the trait, `Trait::method(value)`. A bound on a
//! function would be reported as "required by a bound in" that function, so the functions here have no bounds that a user's type can fail.
//!
//! A call that may not type-check has the span of the user's return type, argument or expression, so that the error is reported there.

mod error_probe;
mod fallback;
#[cfg(feature = "keyed")]
mod keyed;
mod record;
mod return_probe;
mod transient_probe;
mod verdict;

pub use self::{error_probe::*, fallback::*, record::*, return_probe::*, transient_probe::*, verdict::*};
use crate::RetryPolicy;

/// Enables the measurement of the elapsed time, for a hook.
#[must_use]
pub const fn timed(policy: RetryPolicy) -> RetryPolicy {
    policy.timed()
}

/// Calls a closure at once. The bound is `FnOnce`, so that the closure may move its captures, and may return a `&mut` to one of them.
#[inline]
pub fn once<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Sets the return type of an `async` block, which contains an unreachable `return never()`.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the expansion returns this under `if false`")
}
