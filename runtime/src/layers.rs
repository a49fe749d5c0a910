//! The layers of settings: the code, a file, the environment, and live changes, each of which overrides those before it.

mod options;
mod setting;

use std::{fmt, sync::Arc};

#[cfg(feature = "config")]
pub(crate) use self::setting::ExternalOptions;
pub use self::setting::{Setting, SettingSource};
pub(crate) use self::{
    options::{ConfigOptions, DurationText, OptionText, VisitOption, write_options},
    setting::settings,
};
use crate::escape::escaped;

/// A layer of settings above those in the code, in ascending order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigLayer {
    /// A file or a string: `configure_from_file`, `configure_from_toml`.
    File,
    /// The environment: `configure_from_env`, `configure_from_vars`.
    Environment,
    /// A call of `reconfigure` at run time, until `reset_config`.
    Live,
}

/// A change of the settings in force, as part of an [event](crate::events::Event::ConfigApplied).
///
/// `Display` writes `breaker.payments: failure_threshold = 10, ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigChange {
    /// The table that contains the settings in a file: `breaker`, `retry`, `rate_limit` or `bulkhead`.
    pub table: &'static str,
    /// The name of the breaker, retry, rate limit or bulkhead.
    pub name: &'static str,
    /// The settings in force, written as the options of the attribute.
    pub config: Arc<str>,
}

/// The settings of one instance, by layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layered<C> {
    declared: C,
    /// The declared settings, overridden by those of the file and the environment; `None` if these contain no settings.
    external: Option<C>,
    /// The options that are from the file and the environment.
    #[cfg(feature = "config")]
    external_options: ExternalOptions,
    live: Option<C>,
    version: u64,
}

impl<C: Copy> Layered<C> {
    pub(crate) const fn new(declared: C) -> Self {
        Self {
            declared,
            external: None,
            #[cfg(feature = "config")]
            external_options: ExternalOptions::new(),
            live: None,
            version: 0,
        }
    }

    /// Returns the settings that the code declares.
    pub(crate) const fn declared(&self) -> C {
        self.declared
    }

    /// Returns the settings of the topmost layer that has any.
    pub(crate) fn in_force(&self) -> C {
        self.live.or(self.external).unwrap_or(self.declared)
    }

    /// Replaces the settings of the file and the environment, which set these `options`; `None` removes them.
    #[cfg(feature = "config")]
    pub(crate) const fn set_external(&mut self, external: Option<C>, options: ExternalOptions) {
        self.external = external;
        self.external_options = options;
        self.version = self.version.wrapping_add(1);
    }

    /// Replaces the live layer; `None` removes it.
    pub(crate) const fn set_live(&mut self, live: Option<C>) {
        self.live = live;
        self.version = self.version.wrapping_add(1);
    }

    /// Returns the number of times that settings were replaced, modulo 2^64.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}

impl<C: ConfigOptions + Copy> Layered<C> {
    /// Returns the options in force, each with the place from which its value is.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        settings(&self.in_force(), |index| self.source(index))
    }

    /// The place from which the value of the option with this index is. Live settings replace all options.
    #[cfg_attr(not(feature = "config"), allow(unused_variables, reason = "all options have the same source"))]
    fn source(&self, index: usize) -> SettingSource {
        if self.live.is_some() {
            return SettingSource::Live;
        }
        #[cfg(feature = "config")]
        if self.external.is_some() {
            return self.external_options.source(index);
        }
        SettingSource::Code
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
