//! The settings of a rate limit.

use std::time::Duration;

use super::{
    Assignment, Section,
    error::{Issues, named, shown, unknown},
    value::{self, Read},
};
use crate::{Algorithm, RateLimitConfig};

pub(super) const OPTIONS: [&str; 4] = ["limit", "per", "max_wait", "algorithm"];
const ALGORITHMS: [&str; 2] = ["sliding_window", "gcra"];

/// The settings below, with what is assigned on top; `None` if they are not enough to be any.
pub(super) fn merge(
    below: Option<RateLimitConfig>,
    section: &Section,
    mistakes: &mut Issues,
) -> Option<RateLimitConfig> {
    let Section { kind, name, place, assignments } = section;
    // Where there are no settings below it begins with some, both of which are to be replaced.
    let mut config = below.unwrap_or(RateLimitConfig::new(1, Duration::from_secs(1)));
    for Assignment { option, value, place, key } in assignments {
        match set(config, option, value.trim()) {
            Ok(changed) => config = changed,
            Err(message) => mistakes.add(place, key, message),
        }
    }
    let has = |option: &str| assignments.iter().any(|assignment| assignment.option == option);
    if below.is_none() && !(has("limit") && has("per")) {
        let message = "needs both `limit` and `per`, as the code gives no settings";
        mistakes.add(place, &format!("{}.{}", kind.table(), named(name)), message);
        return None;
    }
    Some(config)
}

fn set(config: RateLimitConfig, option: &str, text: &str) -> Read<RateLimitConfig> {
    let checked = match option {
        "limit" => config.try_limit(value::count(text)?),
        "per" => config.try_per(value::duration(text)?),
        "max_wait" if text == "none" => Ok(config.without_max_wait()),
        "max_wait" => config.try_max_wait(value::duration(text)?),
        "algorithm" => Ok(config.algorithm(algorithm(text)?)),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", shown(text)))
}

fn algorithm(text: &str) -> Read<Algorithm> {
    match text {
        "sliding_window" => Ok(Algorithm::SlidingWindow),
        "gcra" => Ok(Algorithm::Gcra),
        _ => Err(unknown("algorithm", text, &ALGORITHMS)),
    }
}
