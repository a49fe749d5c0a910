//! Manual control of a breaker.

use std::{sync::Arc, time::Duration};

/// A manual override of a breaker's state, with an optional expiry and reason.
///
/// Overrides come from operators, or from code, for example code that shares the state of a breaker between the instances of a program.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{BreakerConfig, CircuitBreaker, Override};
///
/// static STOCK: CircuitBreaker = CircuitBreaker::new("stock", BreakerConfig::new());
///
/// STOCK.apply_override(&Override::force_open().expires_in(Duration::from_secs(600)).reason("migration until 14:00"));
/// let rejected = STOCK.try_acquire().unwrap_err();
/// assert!(rejected.to_string().starts_with("circuit `stock` is forced open (migration until 14:00); retry after "));
/// ```
#[derive(Clone, Debug)]
#[must_use = "an override does nothing until it is passed to `CircuitBreaker::apply_override`"]
pub struct Override {
    pub(super) action: Action,
    pub(super) expires_in: Option<Duration>,
    pub(super) reason: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    ForceOpen,
    Disable,
    Reset,
    Open { failed: u8 },
    Close,
}

impl Override {
    /// Rejects every call, until the override expires or is replaced. After the expiry the circuit is half-open.
    pub const fn force_open() -> Self {
        Self::new(Action::ForceOpen)
    }

    /// Admits every call and never opens the circuit, until the override expires or is replaced. Totals are still counted. After the expiry
    /// the circuit is closed, with all counts at 0.
    pub const fn disable() -> Self {
        Self::new(Action::Disable)
    }

    /// Closes the circuit, with all counts at 0. An expiry has no effect.
    pub const fn reset() -> Self {
        Self::new(Action::Reset)
    }

    /// Opens the circuit as a reached failure threshold does, for example because another instance of the program has detected an outage.
    /// The circuit becomes half-open after [`expires_in`](Self::expires_in), or after its recovery timeout if no expiry is set.
    ///
    /// If the circuit is already open, only the end of the open state changes. A circuit that is forced open or disabled does not change
    /// until that override expires.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{BreakerConfig, BreakerState, CircuitBreaker, Override};
    ///
    /// static STOCK: CircuitBreaker = CircuitBreaker::new("stock", BreakerConfig::new());
    ///
    /// STOCK.apply_override(&Override::open().expires_in(Duration::from_secs(5)).reason("down for the others"));
    /// let rejected = STOCK.try_acquire().unwrap_err();
    /// let text = rejected.to_string(); // ...; retry after 5.000s
    /// assert!(text.starts_with("circuit `stock` is open by a manual override (down for the others); retry after "));
    /// STOCK.apply_override(&Override::close());
    /// assert_eq!(STOCK.state(), BreakerState::Closed);
    /// ```
    pub const fn open() -> Self {
        Self::new(Action::Open { failed: 0 })
    }

    /// Closes an open or half-open circuit as a recovery does, with the [`ramp_up`](crate::BreakerConfig::ramp_up) of its settings. A
    /// circuit that is forced open or disabled does not change until that override expires. An expiry of this override has no effect.
    pub const fn close() -> Self {
        Self::new(Action::Close)
    }

    /// Sets the number of failed recoveries for [`open`](Self::open), at most 63, from which an exponential recovery timeout continues to
    /// grow. A circuit whose own count is higher keeps it. Other overrides ignore this number.
    pub const fn failed_recoveries(mut self, recoveries: u32) -> Self {
        if let Action::Open { failed } = &mut self.action {
            #[allow(clippy::cast_possible_truncation, reason = "bounded")]
            let recoveries = if recoveries > u8::MAX as u32 { u8::MAX } else { recoveries as u8 };
            *failed = recoveries;
        }
        self
    }

    const fn new(action: Action) -> Self {
        Self { action, expires_in: None, reason: None }
    }

    /// Sets the duration after which the override expires. There is no timer: the first call after the expiry changes the state.
    pub const fn expires_in(mut self, duration: Duration) -> Self {
        self.expires_in = Some(duration);
        self
    }

    /// Sets the reason, which is included in snapshots, rejections and events.
    pub fn reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
