//! Attribute macros that make Rust functions resilient to failing dependencies.
//!
//! An annotated function retries transient failures, stops calling a dependency that is down, and reports its state at run time.
//!
//! ```
//! use std::time::Duration;
//! use steadfast::{CircuitOpen, Transient, circuit_breaker, retry};
//!
//! #[derive(Debug, thiserror::Error, Transient)]
//! enum PaymentError {
//!     #[error("timed out")]
//!     #[transient]
//!     Timeout,
//!     #[error("asked to wait {after:?}")]
//!     #[transient(retry_after = after)]
//!     RateLimited { after: Duration },
//!     #[error("connection: {0}")]
//!     #[transient(inherit)] // as transient as the io::Error inside
//!     Connection(#[from] std::io::Error),
//!     #[error("card declined")]
//!     Declined, // permanent: no attribute
//!     #[error(transparent)]
//!     Open(#[from] CircuitOpen),
//! }
//!
//! # struct Order;
//! # struct Receipt;
//! #[retry(max_attempts = 5, backoff = exponential(base = 100ms, max = 10s), jitter = full)]
//! #[circuit_breaker(name = "payments", failure_threshold = 3, hung_call = 5s, recovery_timeout = 60s)]
//! async fn charge(order: &Order) -> Result<Receipt, PaymentError> {
//!     // ...
//! #   Ok(Receipt)
//! }
//!
//! let payments = steadfast::breaker("payments").expect("declared above");
//! println!("{}", payments.state()); // closed | open | half-open | forced-open | disabled
//! for breaker in steadfast::breakers() {
//!     println!("{}", breaker.snapshot());
//! }
//! ```
//!
//! Each attribute has a page in this documentation with all its options: [`retry`](macro@retry),
//! [`circuit_breaker`](macro@circuit_breaker), [`timeout`](macro@timeout), [`fallback`](macro@fallback), [`rate_limit`](macro@rate_limit)
//! and [`bulkhead`](macro@bulkhead).
//!
//! # Guarantees
//!
//! 1. **Reading order is running order.** The attribute nearest to `fn` is innermost. `#[retry]` above
//!    `#[circuit_breaker]` sends every attempt through the breaker; in the reverse order, the breaker counts one result per
//!    retried call.
//! 2. **Success is free.** A call that succeeds at the first attempt through a closed breaker takes no lock, reads no
//!    clock (except for a `max_elapsed`), allocates nothing and writes to no memory that another thread writes. Only the
//!    first call of a breaker, or of a thread, sets up its totals. Breakers with a `key` are an exception: they also write
//!    to counters that threads share. A time window, `slow_call`, `hung_call` and `durations` read a clock.
//! 3. **Nothing is retried by guesswork.** Either the error type defines which of its values are [`Transient`], or the
//!    attribute defines it with `retry_if`.
//! 4. **An open circuit is not hammered.** A retry does not retry a rejection by a breaker below it in the same stack,
//!    unless `retry_if(CircuitOpen)` requests it.
//! 5. **A dropped future releases its permit.** A cancelled call counts as neither success nor failure; a panic counts
//!    as a failure.
//! 6. **The error is the caller's.** After the last attempt, the function's own last error is returned unchanged. A
//!    rejection is returned as the function's own error type, through `From<CircuitOpen>`.
//!
//! # Without attributes
//!
//! [`CircuitBreaker`], [`RetryPolicy`], [`RateLimit`], [`Bulkhead`], [`Timeout`] and [`Fallback`] provide the same without attributes, as
//! values:
//!
//! ```
//! use std::io;
//! use steadfast::{BreakerConfig, CircuitBreaker, RetryPolicy, Schedule};
//!
//! static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new().failure_threshold(3));
//! static POLICY: RetryPolicy = RetryPolicy::new().max_attempts(5).backoff(Schedule::none());
//!
//! # fn read() -> io::Result<u8> { Ok(1) }
//! let byte = POLICY.run(|| DISK.call(read))?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `tokio` | on | In `async` functions, retries, timeouts and waits for permits and capacity, which use tokio's timer. Breakers read tokio's clock, so a test under `#[tokio::test(start_paused = true)]` advances time with `tokio::time::advance` and never waits. Without this feature, everything works in functions that are not `async`, and `#[circuit_breaker]` and [`CircuitBreaker::call_async`] work on any executor |
//! | `keyed` | on | One circuit breaker, rate limit or bulkhead per key: the option `key`, [`KeyedBreakers`], [`KeyedRateLimits`] and [`KeyedBulkheads`] |
//! | `config` | off | Settings from a TOML file or the environment at run time: `configure_from_file`, `configure_from_toml`, `configure_from_env` |
//! | `serde` | off | `Serialize` for [`Snapshot`], [`RetrySnapshot`] and the other snapshots |
//! | `testing` | off | The module `testing`, for `[dev-dependencies]`: a clock, random numbers and dependencies that a test controls |
//! | `rt-multi-thread` | off | A blocking sleep or wait in a task of a multi-threaded tokio runtime moves the other tasks of its worker to another thread |
//! | `tokio-util` | off | [`Stop`] for `CancellationToken` |
//! | `http`, `h2`, `hyper`, `hyper-util`, `reqwest`, `tonic`, `sqlx`, `tokio-postgres`, `redis` | off | [`Transient`] for the errors of these clients, in these versions: http 1, h2 0.4, hyper 1, hyper-util 0.1, reqwest 0.13, tonic 0.14, sqlx 0.9, tokio-postgres 0.7, redis 1; the documentation of the trait has a table. `http` also adds `retry_after`, which reads the header `Retry-After`. With `tonic`, `sqlx` and `redis`, the error of the client can carry a rejection |
//! | `prometheus-client` | off | The module `prometheus`: a collector that reads all metrics at each scrape |
//! | `metrics` | off | The module `metrics`: all metrics for the recorder of the `metrics` facade |
//! | `tracing` | off | Log events for `tracing`, and a span for each attempt after the first |
//! | `anyhow` | off | [`Transient`] for `anyhow::Error`, so that [`RetryPolicy::run`] accepts it. The attributes accept it without this feature |

pub mod bounds;
mod breaker;
mod bulkhead;
mod by_address;
mod capabilities;
mod checked;
mod clock;
#[cfg(feature = "config")]
mod configure;
#[cfg(doctest)]
mod doc_pages;
mod durations;
mod error_text;
mod errors;
mod escape;
pub mod events;
mod fallback;
mod isolation;
mod keyed_store;
mod keying;
mod layers;
mod macro_support;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(test)]
mod models;
mod panics;
#[cfg(feature = "prometheus-client")]
pub mod prometheus;
mod random;
mod rate_limit;
mod registry;
mod retry;
#[cfg(feature = "config")]
mod settings;
mod slices;
mod stack;
mod stop;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod timeout;
mod totals;
mod transient;
mod wait;

#[doc = include_str!("../docs/derive_transient.md")]
pub use steadfast_macros::Transient;
#[doc = include_str!("../docs/bulkhead.md")]
pub use steadfast_macros::bulkhead;
#[doc = include_str!("../docs/circuit_breaker.md")]
pub use steadfast_macros::circuit_breaker;
#[doc = include_str!("../docs/fallback.md")]
pub use steadfast_macros::fallback;
#[doc = include_str!("../docs/rate_limit.md")]
pub use steadfast_macros::rate_limit;
#[doc = include_str!("../docs/retry.md")]
pub use steadfast_macros::retry;
#[doc = include_str!("../docs/timeout.md")]
pub use steadfast_macros::timeout;

#[cfg(feature = "tokio")]
pub use self::timeout::{Timeout, TimeoutSnapshot, timeouts};
#[cfg(feature = "http")]
pub use self::transient::http::retry_after;
pub use self::{
    bounds::NoneError,
    breaker::{
        BreakerCall, BreakerConfig, CircuitBreaker, ConvertedRejection, EveryError, FailureSelection, HistoryEntry,
        HistoryEvent, LastFailure, MappedRejection, Outage, Override, OwnedPermit, Permit, RejectionConversion,
        SelectedErrors, SelectedResults, Snapshot, SnapshotConfig, TripRule, Window, WindowSnapshot, breaker, breakers,
        find_breaker,
    },
    bulkhead::{Bulkhead, BulkheadConfig, BulkheadPermit, BulkheadSnapshot, OwnedBulkheadPermit, bulkhead, bulkheads},
    capabilities::{blind_spots, validate},
    checked::InvalidSetting,
    durations::{DurationHistogram, Durations},
    error_text::set_error_texts,
    errors::{
        BlindSpot, BreakerState, BulkheadFull, CircuitOpen, ConfigConflict, DeclarationSite, DeclaredConfig, Error,
        InnerError, OpenReason, RateLimited, TimedOut, Transient, UnknownBreaker,
    },
    escape::escaped,
    fallback::{Fallback, FallbackIf, FallbackSnapshot, fallbacks},
    keying::{Keying, Unkeyed},
    layers::{ConfigChange, ConfigLayer, Setting, SettingSource},
    rate_limit::{
        Algorithm, RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitSnapshot, RateLimitStore,
        rate_limit, rate_limits,
    },
    retry::{
        Backoff, BudgetSnapshot, Jitter, MatchingErrors, MatchingResults, Nested, NoHook, NoStop, OnRetry, RetryBudget,
        RetryCall, RetryContext, RetryPolicy, RetrySnapshot, RetryStop, Schedule, TransientErrors, attempt, retries,
        retry_budgets,
    },
    stop::{Stop, StopSignal},
    transient::had_no_effect,
};
#[cfg(feature = "keyed")]
pub use self::{
    breaker::{KeyedBreaker, KeyedBreakers, KeyedSnapshot, all_keyed_breakers, keyed_breakers},
    bulkhead::{KeyedBulkhead, KeyedBulkheadSnapshot, KeyedBulkheads, all_keyed_bulkheads, keyed_bulkheads},
    keying::Keyed,
    rate_limit::{KeyedRateLimit, KeyedRateLimitSnapshot, KeyedRateLimits, all_keyed_rate_limits, keyed_rate_limits},
};
#[cfg(feature = "config")]
pub use self::{
    configure::{configure_from_env, configure_from_file, configure_from_toml, configure_from_vars},
    settings::{ConfigError, ConfigIssue},
};

/// The items that generated code uses. They are not part of the public interface and can change without notice.
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    pub use crate::{
        bounds::*,
        breaker::{BREAKERS, InPlace, PanicGuard, Polled, forget, record_success},
        bulkhead::BULKHEADS,
        errors::convert_by,
        fallback::{FALLBACKS, FallbackCall, FallbackCounts, StackBreaker},
        macro_support::*,
        rate_limit::RATE_LIMITS,
        registry::{Declared, Hang, Policy, REGISTERED, Registered},
        retry::{
            POLICIES, attempts::Attempts, error_view::ErrorView, last_outcome::*, named_policy::NamedPolicy,
            statistics::Statistics,
        },
        stack::{Disposition, Verdict},
        transient::known::{Find, KNOWN},
    };
    #[cfg(feature = "keyed")]
    pub use crate::{
        breaker::KEYED_BREAKERS,
        bulkhead::KEYED_BULKHEADS,
        rate_limit::{KEYED_RATE_LIMITS, KeyedAcquire},
    };
    #[cfg(feature = "tokio")]
    pub use crate::{
        retry::attempts::{AttemptFuture, Pause},
        timeout::{DeclaredTimeout, TIMEOUTS, within},
    };
}
