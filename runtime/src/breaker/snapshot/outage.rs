use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::OpenReason;

/// An outage of a dependency, as a breaker has seen it: it begins when a closed circuit opens, and ends when the circuit closes or is
/// disabled.
///
/// Trial calls, failed recoveries and manual overrides in between do not end it, so that [`since`](Self::since) and
/// [`reason`](Self::reason) are those of the first opening, while [`Snapshot::last_transition`](crate::Snapshot::last_transition) and
/// [`Snapshot::open_reason`](crate::Snapshot::open_reason) belong to the last change of state. A circuit that is forced open has an outage,
/// too. With `observe_only`, the outage is the one that the breaker would have made visible to callers.
///
/// ```
/// use steadfast::{BreakerConfig, CircuitBreaker, OpenReason};
///
/// static MAPS: CircuitBreaker = CircuitBreaker::new("maps", BreakerConfig::new().failure_threshold(2));
///
/// assert_eq!(MAPS.snapshot().outage, None);
/// for _ in 0..2 {
///     MAPS.try_acquire()?.failure_with(&"connection refused");
/// }
/// let outage = MAPS.snapshot().outage.expect("the circuit is open");
/// assert!(matches!(outage.reason, OpenReason::ConsecutiveFailures { failures: 2, .. }));
/// assert_eq!((outage.failed_recoveries, outage.error.as_deref()), (0, Some("connection refused")));
/// # Ok::<(), steadfast::CircuitOpen>(())
/// ```
///
/// Implements `Serialize` with the feature `serde`: `since` is the number of seconds since 1970, and `reason` is its `Display` text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Outage {
    /// The time at which the closed circuit opened.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::time"))]
    pub since: SystemTime,
    /// The reason for the first opening, with the counts that opened the circuit.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::text"))]
    pub reason: OpenReason,
    /// The number of times that the circuit has opened again after trial calls. An opening that another instance of the program has decided
    /// counts as many failed recoveries as [`Override::failed_recoveries`](crate::Override::failed_recoveries) says.
    pub failed_recoveries: u32,
    /// The text of the failure that opened the circuit first, at most 256 characters; `None` as for
    /// [`CircuitOpen::last_failure`](crate::CircuitOpen::last_failure).
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::text_if_any"))]
    pub error: Option<Arc<str>>,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) lasted: Duration,
}

impl Outage {
    /// Returns the time from [`since`](Self::since) to the snapshot.
    #[must_use]
    pub const fn lasted(&self) -> Duration {
        self.lasted
    }
}
