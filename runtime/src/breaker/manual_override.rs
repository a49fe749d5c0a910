use std::{sync::Arc, time::Duration};

/// What is done to a breaker from outside: by an operator's hand, or because others know more. What, for how long, and why.
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
#[must_use = "it does nothing until it is given to `CircuitBreaker::intervene`"]
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

    /// Opens the circuit as a broken rule would: what another instance of the program has found out, say. After
    /// [`expires_in`](Self::expires_in), or else its own recovery timeout, trial calls decide.
    ///
    /// A circuit that is open already rests until then. One that an operator has forced open or disabled stays as it is,
    /// until that expires.
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

    /// Closes a circuit that is open or half-open as its own recovery would, with the ramp of its settings. One that an operator has
    /// forced open or disabled stays as it is, until that expires. This is over as soon as it is done, and so does not expire.
    pub const fn close() -> Self {
        Self::new(Action::Close)
    }

    /// For [`open`](Self::open): how many recoveries have failed already, elsewhere; at most 63 count. By this a growing recovery
    /// timeout goes on growing. A circuit that counts more of its own keeps them.
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

    /// Ends by itself after that long: the first call from then on finds it ended.
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
