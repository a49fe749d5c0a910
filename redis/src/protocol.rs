//! The data that instances and Redis exchange about a breaker: states, replies and lease claims.
//!
//! The scripts in `src/scripts` are the Redis side of this protocol. `keys` defines the names of the Redis keys.

pub(crate) mod keys;

use std::time::Duration;

/// The kind of state that the fleet's circuit is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// Redis has no state for this breaker.
    Missing,
    Closed,
    /// Closed by an operator.
    Reset,
    Open,
    ForcedOpen,
    Disabled,
}

/// The state of the fleet's circuit, as Redis stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FleetState {
    /// The version, which rises with each change of the state.
    pub(crate) version: u64,
    pub(crate) kind: StateKind,
    /// The time until the state ends; `None` if it does not end.
    pub(crate) remaining: Option<Duration>,
    pub(crate) failed_recoveries: u32,
    /// The instance or operator that set the state.
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// The reply of the breaker script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) state: FleetState,
    pub(crate) grant: Grant,
    /// The time for which another instance still holds the lease.
    pub(crate) lease_left: Duration,
    /// True if the request changed the state.
    pub(crate) changed: bool,
}

/// The outcome of a request for the lease. For a report of failures, `Granted` means that the sum has reached the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Denied,
    Granted,
    /// The lease is not renewed: the instance holds it until its current end, after which another instance gets it.
    Final,
}

/// The claim of an instance to the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseClaim {
    /// The number of calls that this instance has rejected since the fleet opened or, if later, since another instance with a better claim
    /// ended its last lease.
    pub(crate) rejections: u64,
    /// The number of rejected calls above which the claim of another instance is better; `None` while trial calls make progress, when no
    /// claim is better.
    pub(crate) yields_above: Option<u64>,
}

/// The time for which an open keyed breaker stays in the index after its state ends. The script keeps states for the same time.
const INDEX_GRACE: Duration = Duration::from_mins(10);
/// The time for which a keyed breaker with an override that does not expire stays in the index.
const INDEX_TTL_WITHOUT_END: Duration = Duration::from_hours(30 * 24);
/// The separator of the fields of a line. No field contains it.
const SEPARATOR: char = '\x1f';

impl StateKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Open => "open",
            Self::ForcedOpen => "forced",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let kinds = [Self::Missing, Self::Closed, Self::Reset, Self::Open, Self::ForcedOpen, Self::Disabled];
        kinds.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl FleetState {
    /// Parses a line into a state and the text after its last field, if there is any. Returns `None` if the line has another format.
    fn parse(line: &str) -> Option<(Self, Option<&str>)> {
        let mut fields = line.splitn(7, SEPARATOR);
        let mut next = || fields.next();
        let version = next()?.parse().ok()?;
        let kind = StateKind::parse(next()?)?;
        let remaining = millis_from_wire(next()?.parse().ok()?);
        let failed_recoveries = next()?.parse().ok()?;
        let (by, reason) = (next()?.to_owned(), next()?.to_owned());
        Some((Self { version, kind, remaining, failed_recoveries, by, reason }, next()))
    }

    /// Parses a broadcast message: the state and the breaker's id. Returns `None` if the message has another format.
    pub(crate) fn parse_broadcast(message: &str) -> Option<(Self, &str)> {
        let (state, id) = Self::parse(message)?;
        Some((state, id?))
    }

    /// Returns the time for which a keyed breaker in this state stays in the application's index, where instances that missed the broadcast
    /// find it; zero if it need not be in the index.
    pub(crate) fn index_ttl(&self) -> Duration {
        match self.kind {
            StateKind::Missing | StateKind::Closed | StateKind::Reset => Duration::ZERO,
            StateKind::Open => self.remaining.unwrap_or_default() + INDEX_GRACE,
            StateKind::ForcedOpen | StateKind::Disabled => {
                self.remaining.map_or(INDEX_TTL_WITHOUT_END, |remaining| remaining + INDEX_GRACE)
            }
        }
    }
}

impl Reply {
    pub(crate) fn parse((line, grant, lease_left, changed): &RawReply) -> Option<Self> {
        let (state, _) = FleetState::parse(line)?;
        let lease_left = Duration::from_millis((*lease_left).try_into().ok()?);
        let grant = match grant {
            0 => Grant::Denied,
            1 => Grant::Granted,
            _ => Grant::Final,
        };
        Some(Self { state, grant, lease_left, changed: *changed != 0 })
    }
}

/// The reply as the script returns it: state line, grant, milliseconds left of the lease, changed.
pub(crate) type RawReply = (String, i64, i64, i64);

/// Converts a number of milliseconds; a negative number means "without an end" and gives `None`.
pub(crate) fn millis_from_wire(number: i64) -> Option<Duration> {
    u64::try_from(number).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FleetState, Grant, Reply, StateKind};

    #[test]
    fn well_formed_lines_are_parsed_and_others_rejected() {
        let state = FleetState {
            version: 17,
            kind: StateKind::Open,
            remaining: Some(Duration::from_millis(1500)),
            failed_recoveries: 2,
            by: "a".into(),
            reason: "after 5 failures in a row".into(),
        };
        let line = "17\x1fopen\x1f1500\x1f2\x1fa\x1fafter 5 failures in a row";
        let broadcast = format!("{line}\x1fpay\x1fments");
        assert_eq!(FleetState::parse_broadcast(&broadcast), Some((state.clone(), "pay\x1fments")));
        assert_eq!(FleetState::parse_broadcast(line), None);
        let reply = Reply::parse(&(line.into(), 1, 20, 0)).expect("well-formed");
        let expected = Reply { state, grant: Grant::Granted, lease_left: Duration::from_millis(20), changed: false };
        assert_eq!(reply, expected);
        for malformed in ["", "x", "17\x1fajar\x1f1\x1f2\x1fa\x1fb\x1fc", "-1\x1fopen\x1f1\x1f2\x1fa\x1fb\x1fc"] {
            assert_eq!(FleetState::parse_broadcast(malformed), None, "{malformed:?}");
        }
    }
}
