//! Retry settings from a file or the environment.

use std::time::Duration;

use super::{Jitter, RetryPolicy, Schedule};
use crate::{
    InvalidSetting,
    settings::{
        Assignment, Issues, Section, quoted, unknown,
        value::{self, Call, Parsed},
    },
};

pub(super) const OPTIONS: [&str; 5] = ["max_attempts", "backoff", "jitter", "max_elapsed", "max_retry_after"];
const BACKOFFS: [&str; 6] = ["exponential", "fixed", "linear", "fibonacci", "decorrelated", "none"];
const JITTERS: [&str; 5] = ["full", "equal", "proportional", "symmetric", "none"];

impl RetryPolicy {
    /// Applies a section of settings, and reports its issues.
    pub(super) fn merge(self, section: &Section, issues: &mut Issues) -> Self {
        let policy = section.apply(self, issues, set);
        if let (true, Some(Assignment { source, key, .. })) = (policy.has_useless_jitter(), section.find("jitter")) {
            issues.add(
                source,
                key,
                "has no effect with this backoff: there is no delay, or the delay is random already",
            );
        }
        if let (true, Some(Assignment { source, key, .. })) = (policy.is_endless(), section.find("max_attempts")) {
            issues.add(
                source,
                key,
                "`unlimited` would retry forever: add a time limit, such as `max_elapsed = \"30s\"`",
            );
        }
        policy
    }
}

fn set(policy: RetryPolicy, option: &str, text: &str) -> Parsed<RetryPolicy> {
    let out_of_range = |problem| format!("{} is out of range: {problem}", quoted(text));
    match option {
        "max_attempts" if text == "unlimited" => Ok(policy.unlimited_attempts()),
        "max_attempts" => policy.try_max_attempts(value::count(text)?).map_err(out_of_range),
        "max_elapsed" => try_max_elapsed(policy, value::duration(text)?).map_err(out_of_range),
        "max_retry_after" => policy.try_max_retry_after(value::duration(text)?).map_err(out_of_range),
        "backoff" => Ok(policy.backoff(backoff(text)?)),
        "jitter" => Ok(policy.jitter(jitter(text)?)),
        _ => Err(unknown("option", option, &OPTIONS)),
    }
}

/// Sets a limit on the total time, which must not be 0 as in an attribute.
const fn try_max_elapsed(policy: RetryPolicy, limit: Duration) -> Result<RetryPolicy, InvalidSetting> {
    if limit.is_zero() {
        return Err(InvalidSetting::new("`max_elapsed` must be longer than 0: `max_attempts = 1` makes no retry"));
    }
    Ok(policy.max_elapsed(limit))
}

fn backoff(text: &str) -> Parsed<Schedule> {
    let mut call = Call::parse(text).ok_or_else(|| unknown("backoff", text, &BACKOFFS))?;
    let mut time =
        |key: &'static str, default: u64| call.take(key).map_or(Ok(Duration::from_millis(default)), value::duration);
    let (checked, form) = match Call::parse(text).map(|call| call.name) {
        Some("exponential") => {
            let (base, max) = (time("base", 100)?, time("max", 30_000)?);
            let factor = call.take("factor").map_or(Ok(2.0), value::number)?;
            (Schedule::try_exponential(base, factor, max), "exponential(base = 100ms, factor = 2, max = 30s)")
        }
        Some("linear") => {
            let (base, step, max) = (time("base", 1_000)?, time("step", 1_000)?, time("max", 10_000)?);
            (Schedule::try_linear(base, step, max), "linear(base = 1s, step = 1s, max = 10s)")
        }
        Some("fibonacci") => {
            (Schedule::try_fibonacci(time("base", 100)?, time("max", 10_000)?), "fibonacci(base = 100ms, max = 10s)")
        }
        Some("decorrelated") => (
            Schedule::try_decorrelated(time("base", 100)?, time("max", 10_000)?),
            "decorrelated(base = 100ms, max = 10s)",
        ),
        Some("fixed") => {
            let delay = call.take("").ok_or_else(|| "`fixed` needs its delay: `fixed(1s)`".to_owned())?;
            (Ok(Schedule::fixed(value::duration(delay)?)), "fixed(1s)")
        }
        Some("none") => (Ok(Schedule::none()), "none"),
        _ => return Err(unknown("backoff", text, &BACKOFFS)),
    };
    call.finish(form)?;
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}

fn jitter(text: &str) -> Parsed<Jitter> {
    let mut call = Call::parse(text).ok_or_else(|| unknown("jitter", text, &JITTERS))?;
    let (checked, form) = match call.name {
        "full" => (Ok(Jitter::full()), "full"),
        "equal" => (Ok(Jitter::equal()), "equal"),
        "none" => (Ok(Jitter::none()), "none"),
        "proportional" => {
            let share =
                call.take("").ok_or_else(|| "`proportional` needs its share: `proportional(0.1)`".to_owned())?;
            (Jitter::try_proportional(value::number(share)?), "proportional(0.1)")
        }
        "symmetric" => {
            let share = call.take("").ok_or_else(|| "`symmetric` needs its share: `symmetric(0.2)`".to_owned())?;
            (Jitter::try_symmetric(value::number(share)?), "symmetric(0.2)")
        }
        _ => return Err(unknown("jitter", text, &JITTERS)),
    };
    call.finish(form)?;
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}
