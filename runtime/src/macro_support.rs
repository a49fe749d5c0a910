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
mod lend;
mod record;
mod rejected_call;
mod return_probe;
mod transient_probe;
mod verdict;

#[cfg(feature = "tokio")]
use std::time::Duration;

#[cfg(feature = "keyed")]
pub use self::keyed::Weighted;
pub use self::{
    error_probe::*, fallback::*, lend::*, record::*, rejected_call::*, return_probe::*, transient_probe::*, verdict::*,
};
#[cfg(feature = "tokio")]
use crate::Timeout;
use crate::{RetryPolicy, retry::listed::in_force};

/// Enables the measurement of the elapsed time, for a hook.
#[must_use]
pub const fn timed(policy: RetryPolicy) -> RetryPolicy {
    policy.timed()
}

/// Sets the name that appears in events, the path of a function without the option `name`.
#[must_use]
pub const fn label(policy: RetryPolicy, name: &'static str) -> RetryPolicy {
    policy.label(name)
}

/// Returns the policy that a call of `#[retry(policy = ...)]` uses. A policy without a name gets the name of the function, for events.
#[must_use]
pub fn own_policy(policy: &RetryPolicy, name: &'static str) -> RetryPolicy {
    in_force(policy).named_by_default(name)
}

/// Returns the policy of `#[retry(enabled = ...)]` for one call: with a single attempt if the retry is not enabled.
#[must_use]
pub const fn enabled_if(policy: RetryPolicy, is_enabled: bool) -> RetryPolicy {
    if is_enabled { policy } else { policy.max_attempts(1) }
}

/// Returns the timeout of `#[timeout(limit)]` with a limit that is known at run time; 0 is allowed.
#[cfg(feature = "tokio")]
#[must_use]
pub const fn run_time_limit(limit: Duration, name: &'static str) -> Timeout {
    Timeout::unchecked(limit, name)
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
