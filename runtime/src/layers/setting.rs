use std::fmt;

use super::{ConfigLayer, ConfigOptions};

/// An option in force, with the place from which its value is.
///
/// Returned by [`CircuitBreaker::settings`](crate::CircuitBreaker::settings) and its counterparts.
///
/// ```
/// use steadfast::{BulkheadConfig, Bulkhead, SettingSource};
///
/// static MAIL: Bulkhead = Bulkhead::new("mail", BulkheadConfig::new().max_concurrent(4));
///
/// let settings = MAIL.settings();
/// assert_eq!((settings[0].option, settings[0].value.as_str()), ("max_concurrent", "4"));
/// assert_eq!(settings[0].source, SettingSource::Code);
/// assert_eq!(settings[0].to_string(), "max_concurrent = 4 (code)");
///
/// MAIL.reconfigure(MAIL.config().max_concurrent(8));
/// assert_eq!(MAIL.settings()[0].to_string(), "max_concurrent = 8 (live)");
/// ```
///
/// Implements `Serialize` with the feature `serde`: `source` is its `Display` text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Setting {
    /// The name of the option in the attribute.
    pub option: &'static str,
    /// The value, written as in the attribute. A flag is `true` or `false`. An option that is off without a value for it is `none`.
    pub value: String,
    /// The place from which the value is.
    pub source: SettingSource,
}

/// The place from which the value of an option is.
///
/// `Display` writes `code`, `file`, `environment` or `live`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum SettingSource {
    /// The code: an attribute, a static, or the default.
    Code,
    /// A file or a string: `configure_from_file`, `configure_from_toml`.
    File,
    /// The environment: `configure_from_env`, `configure_from_vars`.
    Environment,
    /// A call of `reconfigure` at run time, which sets all options until `reset_config`.
    Live,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.pad("code"),
            Self::File => ConfigLayer::File.fmt(f),
            Self::Environment => ConfigLayer::Environment.fmt(f),
            Self::Live => ConfigLayer::Live.fmt(f),
        }
    }
}

/// Writes `failure_threshold = 10 (file)`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, value, source } = self;
        write!(f, "{option} = {value} ({source})")
    }
}

/// The options that the file and the environment have set, as bits in the order of [`ConfigOptions::visit_options`].
#[cfg(feature = "config")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExternalOptions {
    file: u32,
    environment: u32,
}

#[cfg(feature = "config")]
impl ExternalOptions {
    pub(crate) const fn new() -> Self {
        Self { file: 0, environment: 0 }
    }

    /// Adds the options that a section of `layer` sets. It has made `merged` of `below`, and `assigns` returns true for the options in it.
    ///
    /// An option that the section does not contain is set by it, too, if its value differs: a `preset` and a `window` change others.
    pub(crate) fn add<C: ConfigOptions>(
        &mut self,
        layer: ConfigLayer,
        assigns: impl Fn(&str) -> bool,
        below: Option<&C>,
        merged: &C,
    ) {
        let bits = if layer == ConfigLayer::Environment { &mut self.environment } else { &mut self.file };
        let before = below.map(values).unwrap_or_default();
        for (index, (option, value)) in values(merged).into_iter().enumerate() {
            let differs = before.get(index).is_some_and(|(_, before)| *before != value);
            if assigns(option) || differs {
                *bits |= bit(index);
            }
        }
    }

    /// The options as one number.
    pub(crate) const fn bits(self) -> u64 {
        (self.environment as u64) << 32 | self.file as u64
    }

    #[allow(clippy::cast_possible_truncation, reason = "both halves")]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self { file: bits as u32, environment: (bits >> 32) as u32 }
    }

    /// The place from which the value of the option with this index is.
    pub(crate) fn source(self, index: usize) -> SettingSource {
        if self.environment & bit(index) != 0 {
            SettingSource::Environment
        } else if self.file & bit(index) != 0 {
            SettingSource::File
        } else {
            SettingSource::Code
        }
    }
}

/// The bit of an option; none beyond the 32nd.
#[cfg(feature = "config")]
fn bit(index: usize) -> u32 {
    u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0)
}

/// All options, with the values of those that have an effect.
fn values(config: &impl ConfigOptions) -> Vec<(&'static str, Option<String>)> {
    let mut values = Vec::new();
    let visited = config.visit_options(&mut |option, text| {
        values.push((option, text.to_value()));
        Ok(())
    });
    // The visitor returns no error, and texts have none of their own.
    visited.map(|()| values).unwrap_or_default()
}

/// The options that have an effect. `source` returns the place of an option by its index.
pub(crate) fn settings(config: &impl ConfigOptions, source: impl Fn(usize) -> SettingSource) -> Vec<Setting> {
    let values = values(config).into_iter().enumerate();
    values
        .filter_map(|(index, (option, value))| Some(Setting { option, value: value?, source: source(index) }))
        .collect()
}
