use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    answer::{Kind, milliseconds},
    event::Order,
    names::field,
};

/// What an operator does to a breaker of the whole fleet: what, for how long, why, and who.
///
/// ```
/// use std::time::Duration;
/// use steadfast_redis::{Fleet, FleetError, Operation};
///
/// async fn migrate(fleet: &Fleet) -> Result<(), FleetError> {
///     let ten_minutes = Duration::from_secs(600);
///     let operation = Operation::force_open().expires_in(ten_minutes).reason("migration until 14:00").by("ada");
///     fleet.operate("payments", &operation).await
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to `Fleet::operate`"]
pub struct Operation {
    pub(crate) kind: Kind,
    pub(crate) key: Option<String>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) reason: String,
    pub(crate) by: String,
}

/// What an operator has done to a breaker of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When, by the clock of Redis.
    pub at: SystemTime,
    /// `forced`, `disabled` or `reset`.
    pub action: &'static str,
    /// For how long; `None` without an end.
    pub expires_in: Option<Duration>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Operation {
    /// Every instance rejects every call. When it expires, trial calls decide, as after any rest of the fleet.
    pub const fn force_open() -> Self {
        Self::new(Kind::Forced)
    }

    /// Every instance lets every call through, and none opens. When it expires, the circuits are closed.
    pub const fn disable() -> Self {
        Self::new(Kind::Disabled)
    }

    /// Every instance closes its circuit, with nothing counted, whatever held it.
    pub const fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    const fn new(kind: Kind) -> Self {
        Self { kind, key: None, expires_in: None, reason: String::new(), by: String::new() }
    }

    /// For the breaker of this key.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Ends by itself, by the clock of Redis. What never ends is kept for 30 days after the last instance has gone.
    pub const fn expires_in(mut self, duration: Duration) -> Self {
        self.expires_in = Some(duration);
        self
    }

    /// Why; the first 200 characters.
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = field(reason);
        self
    }

    /// Who; the first 200 characters.
    pub fn by(mut self, operator: &str) -> Self {
        self.by = field(operator);
        self
    }
}

impl AuditEntry {
    /// Reads an entry; `None` if it is none of ours.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut fields = line.split('\x1f');
        let mut next = || fields.next();
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(next()?.parse().ok()?))?;
        let action = Kind::of(next()?)?.text();
        let expires_in = milliseconds(next()?.parse().ok()?);
        Some(Self { at, action, expires_in, by: next()?.to_owned(), reason: next()?.to_owned() })
    }
}

/// What, by whom, for how long, and why; not when.
impl fmt::Display for AuditEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.action, Order(&self.by, self.expires_in, &self.reason))
    }
}
