//! Options of the exported metrics: names, labels and the number of keys with series.
//!
//! `crate::prometheus` and `crate::metrics` offer the same options. A name that Prometheus does not allow is rejected when it is set, so that
//! every scrape is valid.

use std::borrow::Cow;

use super::{DEFAULT_TOP_KEYS, Family, SERVICE};
use crate::checked::{Checked, InvalidSetting};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) top_keys: usize,
    label: &'static str,
    prefix: Option<&'static str>,
    short_names: bool,
}

/// The metrics that repeat outcomes of `circuit_breaker_calls_total`.
const SHORT_NAMES: [&str; 2] = ["circuit_breaker_failures", "circuit_breaker_rejections"];

/// Labels that metrics of circuit breakers have beside the name, and labels that Prometheus adds to every target.
const TAKEN_LABELS: [&str; 8] = ["state", "outcome", "key", "overflow", "le", "quantile", "job", "instance"];

impl Options {
    pub(crate) const DEFAULT: Self =
        Self { top_keys: DEFAULT_TOP_KEYS, label: SERVICE, prefix: None, short_names: true };

    pub(crate) const fn try_label(mut self, label: &'static str) -> Checked<Self> {
        if !is_name(label.as_bytes()) {
            return Err(InvalidSetting::new(
                "`label` must consist of ASCII letters, digits and `_`, without a digit first",
            ));
        }
        if let [b'_', b'_', ..] = label.as_bytes() {
            return Err(InvalidSetting::new("`label` must not begin with `__`: Prometheus drops such labels"));
        }
        let mut index = 0;
        while index < TAKEN_LABELS.len() {
            if is_same(label.as_bytes(), TAKEN_LABELS[index].as_bytes()) {
                return Err(InvalidSetting::new(
                    "`label` must not be `state`, `outcome`, `key`, `overflow`, `le`, `quantile`, `job` or `instance`: \
                     the series have these labels already",
                ));
            }
            index += 1;
        }
        self.label = label;
        Ok(self)
    }

    pub(crate) const fn try_prefix(mut self, prefix: &'static str) -> Checked<Self> {
        let bytes = prefix.as_bytes();
        if !is_name(bytes) || bytes[bytes.len() - 1] == b'_' {
            return Err(InvalidSetting::new(
                "`prefix` must consist of ASCII letters, digits and `_`, without a digit first or a `_` last",
            ));
        }
        self.prefix = Some(prefix);
        Ok(self)
    }

    pub(crate) const fn without_short_names(mut self) -> Self {
        self.short_names = false;
        self
    }

    #[cfg(feature = "metrics")]
    pub(crate) const fn prefix(&self) -> Option<&'static str> {
        self.prefix
    }

    /// Returns the families with the names and labels of these options.
    pub(crate) fn apply(&self, families: impl Iterator<Item = Family>) -> impl Iterator<Item = Family> {
        let selected = families.filter(|family| self.short_names || !SHORT_NAMES.contains(&&*family.name));
        selected.map(|mut family| {
            family.name = prefixed(self.prefix, family.name);
            for sample in &mut family.samples {
                sample.labels.rename(SERVICE, self.label);
            }
            family
        })
    }
}

/// Returns the name of a metric with the prefix.
pub(super) fn prefixed(prefix: Option<&str>, name: Cow<'static, str>) -> Cow<'static, str> {
    match prefix {
        None => name,
        Some(prefix) => format!("{prefix}_{name}").into(),
    }
}

/// Returns true for a name that Prometheus allows for metrics and labels. Colons are reserved for recording rules.
const fn is_name(name: &[u8]) -> bool {
    let mut index = 0;
    while index < name.len() {
        if !(name[index].is_ascii_alphanumeric() || name[index] == b'_') {
            return false;
        }
        index += 1;
    }
    !name.is_empty() && !name[0].is_ascii_digit()
}

const fn is_same(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    left.len() == right.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_prometheus_does_not_allow_are_rejected() {
        for label in ["breaker", "Breaker_2", "_b", "service"] {
            assert!(Options::DEFAULT.try_label(label).is_ok(), "{label}");
        }
        for label in
            ["", "2b", "a-b", "a b", "a:b", "\u{e9}", "a\"", "__name__", "outcome", "key", "le", "job", "instance"]
        {
            assert!(Options::DEFAULT.try_label(label).is_err(), "{label}");
        }
        for prefix in ["steadfast", "my_app2", "_x"] {
            assert!(Options::DEFAULT.try_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["", "2x", "a-b", "a:b", "a b", "x_", "_"] {
            assert!(Options::DEFAULT.try_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
