use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    event::OverrideDetails,
    protocol::{StateKind, keys::sanitize_field, millis_from_wire},
};

/// A manual override of a breaker's state in the whole fleet, with an optional expiry, reason and operator.
///
/// [`steadfast::Override`] is the equivalent for one instance.
///
/// ```
/// use std::time::Duration;
/// use steadfast_redis::{Fleet, FleetError, Override};
///
/// async fn migrate(fleet: &Fleet) -> Result<(), FleetError> {
///     let ten_minutes = Duration::from_secs(600);
///     let migration = Override::force_open().expires_in(ten_minutes).reason("migration until 14:00").by("ada");
///     fleet.apply_override("payments", &migration).await
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an override has no effect until it is passed to `Fleet::apply_override`"]
pub struct Override {
    pub(crate) kind: StateKind,
    pub(crate) key: Option<String>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) reason: String,
    pub(crate) by: String,
}

/// An override that an operator applied to a breaker of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// The time of the override, by the clock of Redis.
    pub at: SystemTime,
    /// `forced`, `disabled` or `reset`.
    pub action: &'static str,
    /// The duration of the override; `None` if it does not expire.
    pub expires_in: Option<Duration>,
    /// The operator; empty if none was given.
    pub by: String,
    /// The operator's reason; empty if none was given.
    pub reason: String,
}

impl Override {
    /// Rejects every call in every instance. After the override expires, the circuit closes once trial calls have succeeded, as after any
    /// recovery timeout of the fleet.
    pub const fn force_open() -> Self {
        Self::new(StateKind::ForcedOpen)
    }

    /// Admits every call in every instance; no circuit opens. After the override expires, the circuits are closed.
    pub const fn disable() -> Self {
        Self::new(StateKind::Disabled)
    }

    /// Closes the circuit in every instance and clears its counts, whatever its state.
    pub const fn reset() -> Self {
        Self::new(StateKind::Reset)
    }

    const fn new(kind: StateKind) -> Self {
        Self { kind, key: None, expires_in: None, reason: String::new(), by: String::new() }
    }

    /// Selects the breaker of one key, for keyed breakers.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Sets the time after which the override expires, by the clock of Redis. An override without an expiry is kept for 30 days after
    /// the last instance has stopped.
    pub const fn expires_in(mut self, duration: Duration) -> Self {
        self.expires_in = Some(duration);
        self
    }

    /// Sets the reason, truncated to 200 characters.
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = sanitize_field(reason);
        self
    }

    /// Sets the operator's name, truncated to 200 characters.
    pub fn by(mut self, operator: &str) -> Self {
        self.by = sanitize_field(operator);
        self
    }
}

impl AuditEntry {
    /// Parses a line of the audit trail; `None` if it has another format.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\x1f');
        let mut next = || fields.next();
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(next()?.parse().ok()?))?;
        let action = StateKind::parse(next()?)?.as_str();
        let expires_in = millis_from_wire(next()?.parse().ok()?);
        Some(Self { at, action, expires_in, by: next()?.to_owned(), reason: next()?.to_owned() })
    }
}

/// The action, operator, duration and reason, without the time.
impl fmt::Display for AuditEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = OverrideDetails { by: &self.by, expires_in: self.expires_in, reason: &self.reason };
        write!(f, "{} by {details}", self.action)
    }
}
