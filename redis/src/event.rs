use std::{fmt, sync::Arc};

use crate::FleetError;

/// Something that has happened to the fleet, or between it and this instance.
///
/// What it makes of this instance's circuits, [`steadfast::events`] tell as ever.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FleetEvent {
    /// Redis answers; what has happened meanwhile is being made up for.
    #[non_exhaustive]
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
    /// An operator has forced a circuit open, or disabled it, for the whole fleet.
    #[non_exhaustive]
    Held {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// The operator.
        by: Arc<str>,
        /// The operator's reason.
        reason: Arc<str>,
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
                write!(f, "fleet: circuit {} opened by {by}: {reason}", Circuit(breaker, key))
            }
            Self::Closed { breaker, key, by } => write!(f, "fleet: circuit {} closed by {by}", Circuit(breaker, key)),
            Self::Held { breaker, key, by, reason } => {
                write!(f, "fleet: circuit {} held by {by}: {reason}", Circuit(breaker, key))
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
        write!(f, "`{breaker}`")?;
        key.as_ref().map_or(Ok(()), |key| write!(f, " for `{key}`"))
    }
}
