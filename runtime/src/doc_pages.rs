//! The README and the pages in `docs/`, compiled and run as doc tests. Each other crate tests its own pages.

#[doc = include_str!("../../README.md")]
struct Readme;

#[doc = include_str!("../../docs/bulkhead.md")]
struct Bulkhead;

#[doc = include_str!("../../docs/circuit-breaker.md")]
struct CircuitBreaker;

#[cfg(feature = "http")]
#[doc = include_str!("../../docs/errors-and-transient.md")]
struct ErrorsAndTransient;

#[doc = include_str!("../../docs/events.md")]
struct Events;

#[doc = include_str!("../../docs/fallback.md")]
struct Fallback;

#[cfg(feature = "keyed")]
#[doc = include_str!("../../docs/keyed.md")]
struct Keyed;

#[doc = include_str!("../../docs/manual-control.md")]
struct ManualControl;

#[cfg(feature = "prometheus-client")]
#[doc = include_str!("../../docs/metrics.md")]
struct Metrics;

#[cfg(feature = "prometheus-client")]
#[doc = include_str!("../../docs/observability.md")]
struct Observability;

#[doc = include_str!("../../docs/order-of-attributes.md")]
struct OrderOfAttributes;

#[doc = include_str!("../../docs/rate-limit.md")]
struct RateLimit;

#[doc = include_str!("../../docs/retry.md")]
struct Retry;

#[cfg(feature = "config")]
#[doc = include_str!("../../docs/settings.md")]
struct Settings;

#[cfg(feature = "testing")]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;

#[doc = include_str!("../../docs/timeout.md")]
struct Timeout;

#[doc = include_str!("../../docs/without-attributes.md")]
struct WithoutAttributes;

/// Two doc tests that declare the same name with different settings. rustdoc builds one program of both.
///
/// ```
/// use std::io;
/// use steadfast::{breaker, breakers, circuit_breaker, validate};
///
/// #[circuit_breaker(name = "same name", failure_threshold = 7)]
/// fn call() -> io::Result<()> {
///     Ok(())
/// }
///
/// validate().unwrap();
/// assert_eq!(breakers().len(), 1);
/// call()?;
/// assert_eq!(breaker("same name").unwrap().config().get_failure_threshold(), Some(7));
/// # Ok::<(), io::Error>(())
/// ```
///
/// ```
/// use std::io;
/// use steadfast::{breaker, breakers, circuit_breaker, validate};
///
/// #[circuit_breaker(name = "same name", failure_threshold = 8)]
/// fn call() -> io::Result<()> {
///     Ok(())
/// }
///
/// validate().unwrap();
/// assert_eq!(breakers().len(), 1);
/// call()?;
/// assert_eq!(breaker("same name").unwrap().config().get_failure_threshold(), Some(8));
/// # Ok::<(), io::Error>(())
/// ```
struct SameNames;
