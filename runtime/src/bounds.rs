//! The requirements that the attributes place on the types of an annotated function.
//!
//! Each trait is implemented for every type that meets its requirement, so that none has to be implemented by hand. They are public
//! because compile errors name them: an error type without `From<CircuitOpen>`, for example, is reported as one that is not
//! [`FromCircuitOpen`]. Their functions take no `self`, so that the compiler never suggests them as methods.
//!
//! | requirement | on | trait |
//! | --- | --- | --- |
//! | a `Result` or an `Option` | the return type | [`CallResult`] |
//! | `From<CircuitOpen>`, `From<RateLimited>`, `From<BulkheadFull>`, `From<TimedOut>` | the error type below the attribute that rejects | [`FromCircuitOpen`], [`FromRateLimited`], [`FromBulkheadFull`], [`FromTimedOut`] |
//! | `Error` | the error type, and the types in `retry_if(...)`, `failure_if(...)` and `#[fallback(if(...))]` | [`ErrorChain`], [`ErrorType`] |
//! | a signature | predicates, hooks and closures | the functions [`predicate`], [`attempt_predicate`], [`retry_hook`], [`timed_retry_hook`], [`fallback_closure`] |
//! | the return type of the function | a fallback | [`FallbackResult`] |
//! | `Clone` | an argument that several calls need | [`CloneArgument`] |
//! | `Copy` | a `self` that several calls need | [`CopyReceiver`] |
//! | `Display` | `key` | `Key` |
//! | `Transient` | a field under `#[transient(inherit)]` | [`InheritTransient`] |
//! | `Duration` or `Option<Duration>` | the field in `#[transient(retry_after = field)]` | [`RetryAfterField`] |

mod argument;
mod call_result;
mod closures;
mod error;
mod fallback;
#[cfg(feature = "keyed")]
mod key;
mod rejection;
mod transient;

#[cfg(feature = "keyed")]
pub use self::key::{Key, KeyedSource};
pub use self::{
    argument::{CloneArgument, CopyReceiver},
    call_result::{CallResult, NoneError},
    closures::{attempt_predicate, fallback_closure, predicate, retry_hook, timed_retry_hook},
    error::{ErrorChain, ErrorType},
    fallback::FallbackResult,
    rejection::{FromBulkheadFull, FromCircuitOpen, FromRateLimited, FromTimedOut},
    transient::{InheritTransient, RetryAfterField},
};
