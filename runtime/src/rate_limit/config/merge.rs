//! Rate-limit settings from a file or the environment.

use std::time::Duration;

use super::{Algorithm, RateLimitConfig};
use crate::{
    registry::MergeSection,
    settings::{
        Issues, Section, quoted, unknown,
        value::{self, Parsed},
    },
};

pub(crate) const OPTIONS: [&str; 5] = ["limit", "per", "max_wait", "algorithm", "burst"];
const ALGORITHMS: [&str; 2] = ["sliding_window", "gcra"];

impl MergeSection for RateLimitConfig {
    /// Returns `None` if the layers below have no settings and the section lacks a required one.
    fn merge(below: Option<Self>, section: &Section, issues: &mut Issues) -> Option<Self> {
        // Without settings below, `limit` and `per` are both required, so that the section replaces the placeholders.
        let placeholder = Self::new(1, Duration::from_secs(1));
        let base = below.unwrap_or(placeholder);
        // `burst` depends on the algorithm, in whatever order the two are written.
        let algorithm = section.find("algorithm").and_then(|assignment| algorithm(assignment.value.trim()).ok());
        let config = section.apply(algorithm.map_or(base, |algorithm| base.algorithm(algorithm)), issues, set);
        if below.is_none() && (section.find("limit").is_none() || section.find("per").is_none()) {
            let message = "needs both `limit` and `per`, because the code gives no settings";
            issues.add(&section.source, &section.key(), message);
            return None;
        }
        Some(config)
    }
}

fn set(config: RateLimitConfig, option: &str, text: &str) -> Parsed<RateLimitConfig> {
    let checked = match option {
        "limit" => config.try_limit(value::count(text)?),
        "per" => config.try_per(value::duration(text)?),
        "max_wait" if text == "none" => Ok(config.without_max_wait()),
        "max_wait" => config.try_max_wait(value::duration(text)?),
        "algorithm" => Ok(config.algorithm(algorithm(text)?)),
        "burst" if text == "none" => Ok(config.without_burst()),
        "burst" => config.try_burst(value::count(text)?),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}

fn algorithm(text: &str) -> Parsed<Algorithm> {
    match text {
        "sliding_window" => Ok(Algorithm::SlidingWindow),
        "gcra" => Ok(Algorithm::Gcra),
        _ => Err(unknown("algorithm", text, &ALGORITHMS)),
    }
}
