//! The functions and traits that generated code calls, beside the public interface. Exported as `__private`.
//!
//! **Invariant:** no compile error names anything from here. A requirement on a user's type is therefore a trait in [`bounds`](crate::bounds),
//! and generated code meets it in a call by the trait's path, `Trait::method(value)`: a bound of a function would be reported as "required
//! by a bound in" that function. The functions here have no bounds that a user's type can fail.
//!
//! Calls whose types may not fit carry the span of the user's return type, argument or expression, so that the error is reported there.

mod error_probe;
mod fallback;
#[cfg(feature = "keyed")]
mod keyed;
mod record;
mod transient_probe;
mod verdict;

pub use self::{error_probe::*, fallback::*, record::*, transient_probe::*, verdict::*};

/// Calls a closure in place. The bound is `FnOnce`, so that the closure may move what it captures, and may return a `&mut` to it.
#[inline]
pub fn once<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Sets the type of an `async` block: an unreachable `return never()` in it.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the expansion returns this under `if false`")
}
