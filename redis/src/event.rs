use std::{fmt, sync::Arc, time::Duration};

use steadfast::escaped;

use crate::FleetError;

/// A change of the fleet's state, or of this instance's connection to it.
///
/// The resulting state changes of this instance's local circuits are emitted as usual, through [`steadfast::events`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FleetEvent {
    /// The connection to Redis is established. Changes made in the meantime are now being fetched.
    Available,
    /// The connection to Redis was lost or could not be established. Each instance uses only its local circuits. Emitted
    /// once per outage.
    #[non_exhaustive]
    Unavailable {
        /// The error of the last request or connection attempt.
        error: FleetError,
    },
    /// The fleet opened a circuit.
    #[non_exhaustive]
    Opened {
        /// The breaker's name.
        breaker: &'static str,
        /// The key, if the breaker is keyed.
        key: Option<Arc<str>>,
        /// The instance whose vote completed the quorum.
        by: Arc<str>,
        /// The reason why that instance's circuit opened.
        reason: Arc<str>,
    },
    /// The fleet closed a circuit.
    #[non_exhaustive]
    Closed {
        /// The breaker's name.
        breaker: &'static str,
        /// The key, if the breaker is keyed.
        key: Option<Arc<str>>,
        /// The instance whose trial calls succeeded, or the operator who reset the circuit.
        by: Arc<str>,
    },
    /// An operator forced a circuit open for the whole fleet: every call is rejected.
    #[non_exhaustive]
    ForcedOpen {
        /// The breaker's name.
        breaker: &'static str,
        /// The key, if the breaker is keyed.
        key: Option<Arc<str>>,
        /// The remaining time until the override expires; `None` if it does not expire.
        expires_in: Option<Duration>,
        /// The operator.
        by: Arc<str>,
        /// The operator's reason.
        reason: Arc<str>,
    },
    /// An operator disabled a circuit for the whole fleet: every call is admitted.
    #[non_exhaustive]
    Disabled {
        /// The breaker's name.
        breaker: &'static str,
        /// The key, if the breaker is keyed.
        key: Option<Arc<str>>,
        /// The remaining time until the override expires; `None` if it does not expire.
        expires_in: Option<Duration>,
        /// The operator.
        by: Arc<str>,
        /// The operator's reason.
        reason: Arc<str>,
    },
    /// An operator's override of a circuit expired. A circuit that was forced open now admits trial calls; a disabled one is closed.
    #[non_exhaustive]
    Expired {
        /// The breaker's name.
        breaker: &'static str,
        /// The key, if the breaker is keyed.
        key: Option<Arc<str>>,
    },
    /// Redis returned an error to a request about one breaker, so its local circuit is not synchronized. Emitted again only
    /// after a request about that breaker has succeeded.
    #[non_exhaustive]
    Refused {
        /// The breaker's name.
        breaker: &'static str,
        /// The key, if the breaker is keyed.
        key: Option<Arc<str>>,
        /// The error that Redis returned.
        error: FleetError,
    },
}

impl fmt::Display for FleetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Available => f.write_str("fleet: connected to Redis"),
            Self::Unavailable { error } => write!(f, "fleet: disconnected, using only local circuits: {error}"),
            Self::Opened { breaker, key, by, reason } => {
                write!(f, "fleet: circuit {} opened by {}: {}", CircuitName(breaker, key), escaped(by), escaped(reason))
            }
            Self::Closed { breaker, key, by } => {
                write!(f, "fleet: circuit {} closed by {}", CircuitName(breaker, key), escaped(operator(by)))
            }
            Self::ForcedOpen { breaker, key, expires_in, by, reason } => {
                let details = OverrideDetails { by, expires_in: *expires_in, reason };
                write!(f, "fleet: circuit {} forced open by {details}", CircuitName(breaker, key))
            }
            Self::Disabled { breaker, key, expires_in, by, reason } => {
                let details = OverrideDetails { by, expires_in: *expires_in, reason };
                write!(f, "fleet: circuit {} disabled by {details}", CircuitName(breaker, key))
            }
            Self::Expired { breaker, key } => {
                write!(f, "fleet: override of circuit {} expired", CircuitName(breaker, key))
            }
            Self::Refused { breaker, key, error } => {
                write!(f, "fleet: circuit {} is not synchronized: {error}", CircuitName(breaker, key))
            }
        }
    }
}

/// A breaker's name and key.
struct CircuitName<'a>(&'a str, &'a Option<Arc<str>>);

impl fmt::Display for CircuitName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(breaker, key) = self;
        write!(f, "`{}`", escaped(breaker))?;
        key.as_ref().map_or(Ok(()), |key| write!(f, " for `{}`", escaped(key)))
    }
}

/// The operator, duration and reason of an override, as in `ada for 10s: migration`.
pub(crate) struct OverrideDetails<'a> {
    pub(crate) by: &'a str,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) reason: &'a str,
}

impl fmt::Display for OverrideDetails<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, expires_in, reason } = *self;
        f.write_str(&escaped(operator(by)))?;
        if let Some(expires_in) = expires_in {
            write!(f, " for {expires_in:?}")?;
        }
        if reason.is_empty() { Ok(()) } else { write!(f, ": {}", escaped(reason)) }
    }
}

/// Returns the operator's name, or a placeholder if none was given.
fn operator(by: &str) -> &str {
    if by.is_empty() { "an operator" } else { by }
}

#[cfg(test)]
mod tests {
    use super::FleetEvent;
    use crate::FleetError;

    #[test]
    fn control_characters_in_keys_and_server_errors_are_escaped() {
        let (breaker, key) = ("hosts", Some("eu\n2026-01-01 all is well\x1b[2J".into()));
        let opened = FleetEvent::Opened { breaker, key, by: "a\rb".into(), reason: "c\nd".into() };
        assert_eq!(
            opened.to_string(),
            "fleet: circuit `hosts` for `eu\\n2026-01-01 all is well\\u{1b}[2J` opened by a\\rb: c\\nd"
        );
        let error = FleetError::Refused("ERR\nx".into());
        let refused = FleetEvent::Refused { breaker, key: None, error: error.clone() };
        let texts = [refused.to_string(), format!("{refused:?}"), format!("{error} {error:?} {error:#}")];
        assert!(texts.iter().all(|text| !text.contains(char::is_control)), "{texts:?}");
    }
}
