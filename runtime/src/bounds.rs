//! The requirements that the attributes place on the types of an annotated function.
//!
//! Each trait is implemented for every type that meets its requirement, so that none has to be implemented by hand. They are public
//! because compile errors name them: an error type without `From<CircuitOpen>`, for example, is reported as one that is not
//! [`FromCircuitOpen`].
//!
//! | requirement | on | trait |
//! | --- | --- | --- |
//! | a `Result` or an `Option` | the return type | [`CallResult`] |
//! | `From<CircuitOpen>`, `From<RateLimited>`, `From<BulkheadFull>`, `From<TimedOut>` | the error type below the attribute that rejects | [`FromCircuitOpen`], [`FromRateLimited`], [`FromBulkheadFull`], [`FromTimedOut`] |
//! | `Error` | the error type, and the types in `retry_if(...)`, `failure_if(...)` and `#[fallback(if(...))]` | [`ErrorChain`], [`ErrorType`] |
//! | `Fn(&E) -> bool` and its like | predicates, hooks and closures | [`Predicate`], [`AttemptPredicate`], [`RetryHook`], [`TimedRetryHook`], [`FallbackClosure`] |
//! | the return type of the function | a fallback | [`FallbackResult`] |
//! | `Clone` | an argument that several calls need | [`CloneArgument`] |
//! | `Copy` | a `self` that several calls need | [`CopyReceiver`] |
//! | `Display` | `key` | [`Key`] |
//! | `Transient` | a field under `#[transient(inherit)]` | [`InheritTransient`] |
//! | `Duration` or `Option<Duration>` | the field in `#[transient(retry_after = field)]` | [`RetryAfterField`] |

mod argument;
mod call_result;
mod error;
mod fallback;
mod predicate;
mod rejection;
mod transient;

use std::fmt::Display;

pub use self::{
    argument::{CloneArgument, CopyReceiver},
    call_result::{CallResult, NoneError},
    error::{ErrorChain, ErrorType},
    fallback::{FallbackClosure, FallbackResult},
    predicate::{AttemptPredicate, Predicate, RetryHook, TimedRetryHook},
    rejection::{FromBulkheadFull, FromCircuitOpen, FromRateLimited, FromTimedOut},
    transient::{InheritTransient, RetryAfterField},
};

/// The value of the option `key`: any type that implements [`Display`].
#[diagnostic::on_unimplemented(
    message = "`key` must implement `Display`, and `{Self}` does not",
    label = "`Display` is missing",
    note = "use a field that implements it, such as `key = request.host`, or format one: `key = format!(...)`"
)]
pub trait Key {
    /// The type that is displayed.
    type Display: Display + ?Sized;

    /// Returns the key.
    fn key(&self) -> &Self::Display;
}

#[diagnostic::do_not_recommend]
impl<K: Display + ?Sized> Key for K {
    type Display = Self;

    #[inline]
    fn key(&self) -> &Self {
        self
    }
}
