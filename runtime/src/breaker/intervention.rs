use std::{sync::Arc, time::Duration};

/// What an operator does to a breaker by hand: what, for how long, and why.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{BreakerConfig, CircuitBreaker, Intervention};
///
/// static STOCK: CircuitBreaker = CircuitBreaker::new("stock", BreakerConfig::new());
///
/// STOCK.intervene(&Intervention::force_open().expires_in(Duration::from_secs(600)).reason("migration until 14:00"));
/// let rejected = STOCK.try_acquire().unwrap_err();
/// assert_eq!(rejected.to_string(), "circuit `stock` is forced open (migration until 14:00); retry after 600.000s");
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is given to `CircuitBreaker::intervene`"]
pub struct Intervention {
    pub(super) action: Action,
    pub(super) expires_in: Option<Duration>,
    pub(super) reason: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    ForceOpen,
    Disable,
    Reset,
}

impl Intervention {
    /// Rejects every call, whatever the clock says. When it expires, trial calls decide, as after any rest.
    pub const fn force_open() -> Self {
        Self::new(Action::ForceOpen)
    }

    /// Lets every call through and opens for nothing; totals are still counted. When it expires, the circuit is closed
    /// with nothing counted.
    pub const fn disable() -> Self {
        Self::new(Action::Disable)
    }

    /// Closes the circuit with nothing counted. This is over as soon as it is done, and so does not expire.
    pub const fn reset() -> Self {
        Self::new(Action::Reset)
    }

    const fn new(action: Action) -> Self {
        Self { action, expires_in: None, reason: None }
    }

    /// Ends by itself, at most after 4 years: with the first call after that long.
    pub const fn expires_in(mut self, duration: Duration) -> Self {
        self.expires_in = Some(duration);
        self
    }

    /// Why, for whoever reads the snapshot, the rejection or the event.
    pub fn reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
