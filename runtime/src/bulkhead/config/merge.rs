//! Bulkhead settings from a file or the environment.

use super::BulkheadConfig;
use crate::settings::{
    Issues, Section, quoted, unknown,
    value::{self, Parsed},
};

pub(crate) const OPTIONS: [&str; 2] = ["max_concurrent", "max_wait"];

impl BulkheadConfig {
    /// Applies a section of settings, and reports its issues.
    pub(crate) fn merge(self, section: &Section, issues: &mut Issues) -> Self {
        section.apply(self, issues, set)
    }
}

fn set(config: BulkheadConfig, option: &str, text: &str) -> Parsed<BulkheadConfig> {
    let checked = match option {
        "max_concurrent" => config.try_max_concurrent(value::count(text)?),
        "max_wait" if text == "none" => Ok(config.without_max_wait()),
        "max_wait" => config.try_max_wait(value::duration(text)?),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}
