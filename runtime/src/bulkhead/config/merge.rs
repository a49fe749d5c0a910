//! Bulkhead settings from a file or the environment.

use super::BulkheadConfig;
use crate::{
    registry::MergeSection,
    settings::{
        Issues, Section, quoted, unknown,
        value::{self, Parsed},
    },
};

pub(crate) const OPTIONS: [&str; 3] = ["max_concurrent", "max_wait", "max_queue"];

impl MergeSection for BulkheadConfig {
    fn merge(below: Option<Self>, section: &Section, issues: &mut Issues) -> Option<Self> {
        Some(section.apply(below.unwrap_or_default(), issues, set))
    }
}

fn set(config: BulkheadConfig, option: &str, text: &str) -> Parsed<BulkheadConfig> {
    let checked = match option {
        "max_concurrent" => config.try_max_concurrent(value::count(text)?),
        "max_wait" if text == "none" => Ok(config.without_max_wait()),
        "max_wait" => config.try_max_wait(value::duration(text)?),
        "max_queue" if text == "none" => Ok(config.without_max_queue()),
        "max_queue" => config.try_max_queue(value::count(text)?),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}
