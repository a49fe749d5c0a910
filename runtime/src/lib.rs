//! Attributes that let functions survive the failures of what they call.
//!
//! You annotate a function. It retries what is transient, stops calling what is down, and tells you at run time what it
//! is doing.
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
//! #[circuit_breaker(name = "payments", failure_threshold = 3, recovery_timeout = 60s)]
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
//! # What holds
//!
//! 1. **Reading order is running order.** The attribute nearest to `fn` is innermost. `#[retry]` above
//!    `#[circuit_breaker]` sends every attempt through the breaker; the other way round, the breaker counts one result for
//!    each retried call as a whole.
//! 2. **Success is free.** A call that succeeds at the first attempt through a closed breaker takes no lock, reads no
//!    clock (but for a `max_elapsed`), allocates nothing and writes to no memory that another thread writes. Only the very
//!    first call of a breaker, or of a thread, sets up its totals.
//! 3. **Nothing is retried by guesswork.** The error type says which of its values are [`Transient`], or the attribute
//!    says it with `retry_if`.
//! 4. **An open circuit is not hammered.** A retry does not retry a rejection by a breaker below it in the same stack,
//!    unless it asks for it by `retry_if(CircuitOpen)`.
//! 5. **A dropped future gives its place back.** Cancelling a call counts as neither success nor failure; a panic counts
//!    as a failure.
//! 6. **The error is the caller's.** After the last attempt, the function's own last error comes back as it was. A
//!    rejection comes as the function's own error type, through `From<CircuitOpen>`.
//!
//! # Without attributes
//!
//! [`CircuitBreaker`] and [`RetryPolicy`] work by themselves:
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
//! `tokio`, on by default: retrying `async` functions, which sleep with tokio's timer. Breakers read tokio's clock, so that
//! a test under `#[tokio::test(start_paused = true)]` moves time by `tokio::time::advance` and never waits. Without it,
//! everything for functions that are not `async` is there, and `#[circuit_breaker]` and
//! [`CircuitBreaker::call_async`] on any executor.
//!
//! `keyed`, on by default: a circuit breaker for each key, [`KeyedBreakers`] and the option `key`.
//!
//! `config`, off by default: settings from a TOML file or the environment, live, by `configure_from_file`,
//! `configure_from_toml` and `configure_from_env`.
//!
//! `serde`, off by default: [`Snapshot`], [`RetrySnapshot`] and `KeyedSnapshot` are `Serialize`.
//!
//! `testing`, off by default and meant for `[dev-dependencies]`: clocks and chance that a test moves, in the module `testing`.
//!
//! `rt-multi-thread`, off by default: a blocking sleep in a task of a multi-threaded tokio runtime lets its other tasks go on.
//!
//! `tokio-util`, off by default: a `CancellationToken` is a [`Stop`].
//!
//! `http`, `reqwest`, `tonic`, `sqlx`, `redis`, off by default: which errors of these clients are worth another attempt. The
//! table at [`Transient`] says it for each. With `http` comes `retry_after`, which reads the header `Retry-After`; with
//! `tonic` a `tonic::Status` can carry a rejection.
//!
//! `prometheus-client`, `metrics`, `tracing`, off by default: what happens, told to Prometheus by a collector that is read at each
//! scrape, to the recorder of the `metrics` facade, or to `tracing`'s subscriber.
//!
//! `anyhow`, off by default: `anyhow::Error` is [`Transient`], so that [`RetryPolicy::run`] takes it. The attributes do
//! without.

/// The snippets of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod bounds;
mod breaker;
mod bulkhead;
mod checked;
mod clock;
#[cfg(feature = "config")]
mod configure;
mod escape;
pub mod events;
mod fallback;
mod key;
#[cfg(feature = "keyed")]
mod keyed;
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
mod scope;
mod slices;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod timeout;
mod totals;
#[cfg(feature = "tracing")]
mod trace;
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

#[cfg(feature = "config")]
pub use self::configure::{
    ConfigError, ConfigIssue, configure_from_env, configure_from_file, configure_from_toml, configure_from_vars,
};
#[cfg(feature = "tokio")]
pub use self::timeout::Timeout;
#[cfg(feature = "http")]
pub use self::transient::http::retry_after;
pub use self::{
    bounds::NoneError,
    breaker::{
        BreakerConfig, BreakerSettings, BreakerState, CircuitBreaker, CircuitOpen, HistoryEntry, HistoryEvent,
        OpenReason, Override, Permit, Snapshot, SnapshotConfig, TripRule, Window, WindowSnapshot,
    },
    bulkhead::{Bulkhead, BulkheadConfig, BulkheadFull, BulkheadPermit, BulkheadSnapshot, bulkhead, bulkheads},
    escape::escaped,
    fallback::{Fallback, FallbackIf},
    layers::{ConfigChange, ConfigLayer},
    rate_limit::{
        Algorithm, RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitSettings,
        RateLimitSnapshot, RateLimitStore, RateLimited, rate_limit, rate_limits,
    },
    registry::{ConfigConflict, DeclarationSite, DeclaredConfig, breaker, breakers, validate},
    retry::{
        Backoff, Jitter, Nested, RetryBudget, RetryContext, RetryIf, RetryPolicy, RetrySnapshot, RetryUntil, Schedule,
        Stop, StopSignal, retries,
    },
    timeout::TimedOut,
    transient::Transient,
};
#[cfg(feature = "keyed")]
pub use self::{
    breaker::{KeyedBreaker, KeyedBreakerSettings, KeyedBreakers, KeyedSnapshot},
    rate_limit::{
        KeyedRateLimit, KeyedRateLimitSettings, KeyedRateLimitSnapshot, KeyedRateLimits, all_keyed_rate_limits,
        keyed_rate_limits,
    },
    registry::{all_keyed_breakers, keyed_breakers},
};

/// The items that generated code uses. Not part of the public interface: they change without notice.
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    pub use crate::{
        bounds::*,
        breaker::{PanicMark, Polled, trace::convert_by},
        macro_support::*,
        registry::{Declaration, Declared, Registered},
        retry::{
            attempts::Attempts,
            last_outcome::*,
            named::NamedPolicy,
            statistics::Statistics,
            verdict::{Disposition, Verdict},
        },
        slices::*,
        transient::Find,
    };
    #[cfg(feature = "tokio")]
    pub use crate::{
        retry::{nested::Scoped, pause::Pause},
        timeout::within,
    };
}
