//! The settings of a rate limit.

use std::time::Duration;

use super::{
    Assignment, Section,
    error::{Mistakes, shown, unknown},
    value::{self, Read},
};
use crate::{Algorithm, RateLimitConfig};

const OPTIONS: [&str; 4] = ["limit", "per", "wait", "algorithm"];
const ALGORITHMS: [&str; 2] = ["sliding_window", "gcra"];

/// The declared settings of one limit, with what is assigned; `None` if they are not enough to be any.
pub(super) fn merge(
    declared: Option<RateLimitConfig>,
    section: &Section,
    mistakes: &mut Mistakes,
) -> Option<RateLimitConfig> {
    let mut config = declared.or_else(|| first(section, mistakes))?;
    for Assignment { option, value, place, key } in &section.assignments {
        match set(config, option, value.trim()) {
            Ok(changed) => config = changed,
            Err(message) => mistakes.add(place, key, message),
        }
    }
    Some(config)
}

/// Where the code gives no settings, the first two make some.
fn first(Section { kind, name, place, assignments }: &Section, mistakes: &mut Mistakes) -> Option<RateLimitConfig> {
    let find = |option: &str| assignments.iter().find(|assignment| assignment.option == option);
    let (Some(limit), Some(per)) = (find("limit"), find("per")) else {
        let message = "needs both `limit` and `per`, as the code gives no settings";
        mistakes.add(place, &format!("{}.{name}", kind.table()), message);
        return None;
    };
    let (count, span) = (value::count(limit.value.trim()), value::duration(per.value.trim()));
    match (count, span) {
        // What is out of range is found when it is set.
        (Ok(_), Ok(_)) => Some(RateLimitConfig::new(1, Duration::from_secs(1))),
        (count, span) => {
            let wrong = [count.err().map(|message| (limit, message)), span.err().map(|message| (per, message))];
            for (Assignment { place, key, .. }, message) in wrong.into_iter().flatten() {
                mistakes.add(place, key, message);
            }
            None
        }
    }
}

fn set(config: RateLimitConfig, option: &str, text: &str) -> Read<RateLimitConfig> {
    let checked = match option {
        "limit" => config.try_limit(value::count(text)?),
        "per" => config.try_per(value::duration(text)?),
        "wait" if text == "none" => Ok(config.without_wait()),
        "wait" => config.try_wait(value::duration(text)?),
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
