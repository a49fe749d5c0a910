//! The requirements that the attributes place on the types of an annotated function.
//!
//! Each trait has a blanket implementation for every type that meets its requirement, so none has to be implemented by hand. The traits
//! are public because compile errors name them: for example, the error for a type without `From<CircuitOpen>` names [`FromCircuitOpen`].
//! Their functions take no `self`, so that the compiler never suggests them as methods.
//!
//! | requirement | on | trait |
//! | --- | --- | --- |
//! | a `Result` or an `Option` | the return type | [`CallResult`] |
//! | `From<CircuitOpen>`, `From<RateLimited>`, `From<BulkheadFull>`, `From<TimedOut>` | the error type of the call that the attribute rejects or times out | [`FromCircuitOpen`], [`FromRateLimited`], [`FromBulkheadFull`], [`FromTimedOut`] |
//! | the same | the error type of a client library whose feature is off | [`CarriesWithRedis`], [`CarriesWithSqlx`], [`CarriesWithTonic`] |
//! | `Error` | the error type, and the types in `retry_if(...)`, `failure_if(...)` and `#[fallback(if(...))]` | [`ErrorChain`], [`ErrorType`] |
//! | a signature | predicates, hooks, and closures that make a value or an error | the functions [`predicate`], [`attempt_predicate`], [`retry_hook`], [`timed_retry_hook`], [`fallback_closure`], [`circuit_rejection`], [`rejection()`] |
//! | the return type of the function | a fallback | [`FallbackResult`] |
//! | `Clone` | an argument that each attempt and fallback moves or changes | [`CloneArgument`] |
//! | `Clone` | an argument that the body moves, and a predicate, a hook or a closure uses after the call | [`CloneUsedLater`] |
//! | a closure that moves none of its captures | the body, if it calls methods on owned arguments | [`ReusableBody`] |
//! | `Copy` | a `self` that each attempt and fallback needs and the body moves | [`CopyReceiver`] |
//! | `Display` | `key` | `Key` |
//! | an integer | `permits` | [`PermitCount`] |
//! | a policy | `register!` | [`Registrable`] |
//! | `Transient` | the error type of a client library whose feature is off | [`WithH2`], [`WithHttp`], [`WithHyper`], [`WithHyperUtil`], [`WithRedis`], [`WithReqwest`], [`WithSqlx`], [`WithTokioPostgres`], [`WithTonic`] |
//! | `Transient` | a field under `#[transient(inherit)]` | [`InheritTransient`] |
//! | `Duration` or `Option<Duration>` | the field in `#[transient(retry_after = field)]` | [`RetryAfterField`] |

mod argument;
mod call_result;
mod closures;
mod error;
mod fallback;
#[cfg(feature = "keyed")]
mod key;
mod permits;
mod rejection;
mod transient;

#[cfg(feature = "keyed")]
pub use self::key::{Key, KeyedSource};
pub use self::{
    argument::{CloneArgument, CloneUsedLater, CopyReceiver, ReusableBody},
    call_result::{CallResult, NoneError},
    closures::{
        attempt_predicate, circuit_rejection, fallback_closure, predicate, rejection, retry_hook, timed_retry_hook,
    },
    error::{ErrorChain, ErrorType},
    fallback::FallbackResult,
    permits::PermitCount,
    rejection::{
        CarriesWithRedis, CarriesWithSqlx, CarriesWithTonic, FromBulkheadFull, FromCircuitOpen, FromRateLimited,
        FromTimedOut,
    },
    transient::{
        InheritTransient, RetryAfterField, WithH2, WithHttp, WithHyper, WithHyperUtil, WithRedis, WithReqwest,
        WithSqlx, WithTokioPostgres, WithTonic,
    },
};
pub use crate::registry::Registrable;
