//! The settings of a bulkhead.

use super::{
    Assignment,
    error::{Issues, shown, unknown},
    value::{self, Read},
};
use crate::BulkheadConfig;

pub(super) const OPTIONS: [&str; 2] = ["max_concurrent", "max_wait"];

/// The settings below, with what is assigned on top.
pub(super) fn merge(below: BulkheadConfig, assignments: &[Assignment], mistakes: &mut Issues) -> BulkheadConfig {
    let mut config = below;
    for Assignment { option, value, place, key } in assignments {
        match set(config, option, value.trim()) {
            Ok(changed) => config = changed,
            Err(message) => mistakes.add(place, key, message),
        }
    }
    config
}

fn set(config: BulkheadConfig, option: &str, text: &str) -> Read<BulkheadConfig> {
    let checked = match option {
        "max_concurrent" => config.try_max_concurrent(value::count(text)?),
        "max_wait" if text == "none" => Ok(config.without_max_wait()),
        "max_wait" => config.try_max_wait(value::duration(text)?),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", shown(text)))
}
