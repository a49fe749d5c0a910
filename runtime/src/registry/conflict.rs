use std::{error::Error, fmt, panic::Location};

use crate::BreakerConfig;

/// Two places declare the same breaker with different settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigConflict {
    /// The breaker's name.
    pub name: &'static str,
    /// The place whose settings hold.
    pub first: Place,
    /// The place that disagrees.
    pub second: Place,
}

/// Settings, and where in the program they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// File, line and column.
    pub location: &'static Location<'static>,
    /// The settings.
    pub config: BreakerConfig,
    /// How many keys there are at most; `None` without a `key`.
    pub max_keys: Option<usize>,
}

impl fmt::Display for ConfigConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, second } = self;
        if first.max_keys.is_some() != second.max_keys.is_some() {
            let (with, without) = if first.max_keys.is_some() { (first, second) } else { (second, first) };
            return write!(
                f,
                "circuit breaker `{name}` is declared with a `key` at {} and without one at {}; give one of them another name",
                with.location, without.location,
            );
        }
        if first.config == second.config && first.max_keys == second.max_keys {
            return write!(
                f,
                "two statics are circuit breaker `{name}`, at {} and at {}; share one, or give each a name of its own",
                first.location, second.location,
            );
        }
        write!(
            f,
            "circuit breaker `{name}` is declared with different settings: `{}` at {}, `{}` at {}; give the settings in \
             one place, and the name alone in the others",
            first.settings(),
            first.location,
            second.settings(),
            second.location,
        )
    }
}

impl Error for ConfigConflict {}

impl Place {
    fn settings(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            write!(f, "{}", self.config)?;
            self.max_keys.map_or(Ok(()), |max_keys| write!(f, ", max_keys = {max_keys}"))
        })
    }
}
