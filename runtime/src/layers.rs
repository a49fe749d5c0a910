//! The layers of settings, each on top of the one before: the code, a file, the environment, and what is set live.

use std::{fmt, sync::Arc};

use crate::escape::escaped;

/// A source of settings. A later one is on top of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigLayer {
    /// A file, or a text: `configure_from_file`, `configure_from_toml`.
    File,
    /// The environment: `configure_from_env`, `configure_from_vars`.
    Environment,
    /// `reconfigure`, until `reset_config`.
    Live,
}

/// Settings in force that have changed, as an [event](crate::events::Event::ConfigApplied) tells of them.
///
/// Its `Display` reads `breaker.payments: failure_threshold = 10, ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigChange {
    /// The table of such settings in a file: `breaker`, `retry`, `rate_limit` or `bulkhead`.
    pub table: &'static str,
    /// The name.
    pub name: &'static str,
    /// The settings in force, in the words of the attribute.
    pub config: Arc<str>,
}

/// The settings of one thing, by layers. `outside` is what file and environment make of those in the code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layered<C> {
    declared: C,
    outside: Option<C>,
    live: Option<C>,
    version: u64,
}

impl<C: Copy> Layered<C> {
    pub(crate) const fn new(declared: C) -> Self {
        Self { declared, outside: None, live: None, version: 0 }
    }

    /// The settings in the code.
    pub(crate) const fn declared(&self) -> C {
        self.declared
    }

    pub(crate) fn in_force(&self) -> C {
        self.live.or(self.outside).unwrap_or(self.declared)
    }

    /// Replaces what file and environment make of the settings; `None` where they say nothing.
    #[cfg(feature = "config")]
    pub(crate) const fn set_outside(&mut self, outside: Option<C>) {
        self.outside = outside;
        self.version = self.version.wrapping_add(1);
    }

    /// Replaces what is set live; `None` where nothing is.
    pub(crate) const fn set_live(&mut self, live: Option<C>) {
        self.live = live;
        self.version = self.version.wrapping_add(1);
    }

    /// How often a layer was replaced.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}

impl ConfigChange {
    pub(crate) fn new(table: &'static str, name: &'static str, config: impl fmt::Display) -> Self {
        Self { table, name, config: config.to_string().into() }
    }
}

impl fmt::Display for ConfigLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Environment => "environment",
            Self::Live => "live",
        })
    }
}

impl fmt::Display for ConfigChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, name, config } = self;
        write!(f, "{table}.{}: {config}", escaped(name))
    }
}
