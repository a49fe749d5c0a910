use std::{fmt, sync::Arc, time::Duration};

use steadfast::escaped;

use crate::FleetError;

/// Something that has happened to the fleet, or between it and this instance.
///
/// What it makes of this instance's circuits, [`steadfast::events`] tell as ever.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FleetEvent {
    /// Redis answers; what has happened meanwhile is being made up for.
    Available,
    /// Redis does not answer any more, or never has: each instance goes by itself. Told once, until it answers again.
    #[non_exhaustive]
    Unavailable {
        /// What was tried last, and how it failed.
        error: FleetError,
    },
    /// The fleet has opened a circuit.
    #[non_exhaustive]
    Opened {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// The instance whose word was the last that was needed.
        by: Arc<str>,
        /// What it has found.
        reason: Arc<str>,
    },
    /// The fleet has closed a circuit.
    #[non_exhaustive]
    Closed {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// The instance whose trial calls have succeeded, or the operator.
        by: Arc<str>,
    },
    /// An operator has forced a circuit open for the whole fleet: no call is let through.
    #[non_exhaustive]
    ForcedOpen {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// For how long from now; `None` without an end.
        expires_in: Option<Duration>,
        /// The operator.
        by: Arc<str>,
        /// The operator's reason.
        reason: Arc<str>,
    },
    /// An operator has disabled a circuit for the whole fleet: every call is let through.
    #[non_exhaustive]
    Disabled {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// For how long from now; `None` without an end.
        expires_in: Option<Duration>,
        /// The operator.
        by: Arc<str>,
        /// The operator's reason.
        reason: Arc<str>,
    },
    /// What an operator wanted of a circuit has expired. After it was forced open, trial calls decide; after it was disabled, it is closed.
    #[non_exhaustive]
    Expired {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
    },
    /// Redis refuses what is asked for one breaker, which goes by itself meanwhile. Told once, until it is answered again.
    #[non_exhaustive]
    Refused {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// What Redis has answered.
        error: FleetError,
    },
}

impl fmt::Display for FleetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Available => f.write_str("fleet: Redis answers"),
            Self::Unavailable { error } => write!(f, "fleet: every instance by itself: {error}"),
            Self::Opened { breaker, key, by, reason } => {
                write!(f, "fleet: circuit {} opened by {}: {}", Circuit(breaker, key), escaped(by), escaped(reason))
            }
            Self::Closed { breaker, key, by } => {
                write!(f, "fleet: circuit {} closed by {}", Circuit(breaker, key), escaped(operator(by)))
            }
            Self::ForcedOpen { breaker, key, expires_in, by, reason } => {
                write!(f, "fleet: circuit {} forced open by {}", Circuit(breaker, key), Order(by, *expires_in, reason))
            }
            Self::Disabled { breaker, key, expires_in, by, reason } => {
                write!(f, "fleet: circuit {} disabled by {}", Circuit(breaker, key), Order(by, *expires_in, reason))
            }
            Self::Expired { breaker, key } => {
                write!(f, "fleet: circuit {} held no more: that has expired", Circuit(breaker, key))
            }
            Self::Refused { breaker, key, error } => {
                write!(f, "fleet: circuit {} goes by itself: {error}", Circuit(breaker, key))
            }
        }
    }
}

/// A breaker's name, and the key.
struct Circuit<'a>(&'a str, &'a Option<Arc<str>>);

impl fmt::Display for Circuit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(breaker, key) = self;
        write!(f, "`{}`", escaped(breaker))?;
        key.as_ref().map_or(Ok(()), |key| write!(f, " for `{}`", escaped(key)))
    }
}

/// Who wants something, for how long, and why.
pub(crate) struct Order<'a>(pub(crate) &'a str, pub(crate) Option<Duration>, pub(crate) &'a str);

impl fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(by, expires_in, reason) = *self;
        f.write_str(&escaped(operator(by)))?;
        if let Some(expires_in) = expires_in {
            write!(f, " for {expires_in:?}")?;
        }
        if reason.is_empty() { Ok(()) } else { write!(f, ": {}", escaped(reason)) }
    }
}

/// Who does not say who it is.
fn operator(by: &str) -> &str {
    if by.is_empty() { "an operator" } else { by }
}

#[cfg(test)]
mod tests {
    use super::FleetEvent;
    use crate::FleetError;

    #[test]
    fn an_event_is_one_line_whatever_a_key_or_a_server_says() {
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
