//! The settings of a breaker.

use std::time::Duration;

use super::{
    Assignment,
    error::{Issues, shown, unknown},
    value::{self, Call, Read},
};
use crate::{BreakerConfig, Window};

pub(super) const OPTIONS: [&str; 12] = [
    "preset",
    "failure_threshold",
    "window",
    "failure_rate",
    "min_calls",
    "slow_call",
    "slow_call_rate",
    "recovery_timeout",
    "recovery_jitter",
    "half_open_max_calls",
    "ramp_up",
    "observe_only",
];

/// The settings below, with what is assigned on top.
pub(super) fn merge(below: BreakerConfig, assignments: &[Assignment], mistakes: &mut Issues) -> BreakerConfig {
    let mut config = below;
    // A preset and a window are what the others go on top of.
    for pass in [
        |option: &str| option == "preset",
        |option: &str| option == "window",
        |option: &str| option != "preset" && option != "window",
    ] {
        for assignment in assignments.iter().filter(|assignment| pass(&assignment.option)) {
            match set(config, &assignment.option, assignment.value.trim()) {
                Ok(changed) => config = changed,
                Err(message) => mistakes.add(&assignment.place, &assignment.key, message),
            }
        }
    }
    let find = |option: &str| assignments.iter().find(|assignment| assignment.option == option);
    // A window that can't be read is one mistake.
    let misread = find("window").is_some_and(|assignment| window(config, assignment.value.trim()).is_err());
    if !misread {
        check(config, find, mistakes);
    }
    config
}

/// What makes no sense together.
fn check<'a>(config: BreakerConfig, find: impl Fn(&str) -> Option<&'a Assignment>, mistakes: &mut Issues) {
    let (by_window, knows_slow_calls) = config.judges_by();
    if !by_window {
        for option in ["failure_rate", "min_calls", "slow_call", "slow_call_rate"] {
            if let Some(Assignment { place, key, .. }) = find(option) {
                mistakes.add(place, key, "needs a window: `window = \"calls(100)\"` or `window = \"time(60s)\"`");
            }
        }
        return;
    }
    if let Some(threshold) = find("failure_threshold") {
        let message = "counts failures in a row, but with a window their share decides: use `failure_rate`, or set \
                       `window = \"none\"`";
        mistakes.add(&threshold.place, &threshold.key, message);
    }
    if let (Some(rate), false, None) = (find("slow_call_rate"), knows_slow_calls, find("slow_call")) {
        mistakes.add(&rate.place, &rate.key, "needs to know which calls are slow: `slow_call = \"2s\"`");
    }
    if let (Some(least), Some(size)) = (find("min_calls"), config.window_calls())
        && value::count(least.value.trim()).is_ok_and(|least| least > size)
    {
        let message = format!("must not be above the {size} calls of the window: it would never be reached");
        mistakes.add(&least.place, &least.key, message);
    }
}

fn set(config: BreakerConfig, option: &str, text: &str) -> Read<BreakerConfig> {
    let checked = match option {
        "preset" => return preset(text),
        "window" => return window(config, text),
        "recovery_timeout" => return recovery_timeout(config, text),
        "failure_threshold" => config.try_failure_threshold(value::count(text)?),
        "failure_rate" => config.try_failure_rate(value::number(text)?),
        "min_calls" => config.try_min_calls(value::count(text)?),
        "slow_call" => config.try_slow_call(value::duration(text)?),
        "slow_call_rate" => config.try_slow_call_rate(value::number(text)?),
        "recovery_jitter" => config.try_recovery_jitter(value::number(text)?),
        "half_open_max_calls" => config.try_half_open_max_calls(value::count(text)?),
        "ramp_up" => Ok(config.ramp_up(value::duration(text)?)),
        "observe_only" => Ok(config.observe_only(value::flag(text)?)),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", shown(text)))
}

fn preset(text: &str) -> Read<BreakerConfig> {
    Ok(match text {
        "critical" => BreakerConfig::critical(),
        "non_critical" => BreakerConfig::non_critical(),
        "flaky_api" => BreakerConfig::flaky_api(),
        "database" => BreakerConfig::database(),
        _ => return Err(unknown("preset", text, &["critical", "non_critical", "flaky_api", "database"])),
    })
}

fn window(config: BreakerConfig, text: &str) -> Read<BreakerConfig> {
    const FORMS: &str = "calls(100)`, `time(60s)` or `none";

    let wrong = || format!("{} is no window: write `{FORMS}`", shown(text));
    let mut call = Call::read(text).ok_or_else(wrong)?;
    let size = call.take("");
    let window = match (call.name, size) {
        ("none", None) => None,
        ("calls", Some(size)) => Some(Window::try_calls(value::count(size)?)),
        ("time", Some(size)) => Some(Window::try_time(value::duration(size)?)),
        _ => return Err(wrong()),
    };
    call.finish(FORMS)?;
    match window.transpose() {
        Ok(window) => Ok(window.map_or_else(|| config.without_window(), |window| config.window(window))),
        Err(problem) => Err(format!("{} is out of range: {problem}", shown(text))),
    }
}

fn recovery_timeout(config: BreakerConfig, text: &str) -> Read<BreakerConfig> {
    const FORM: &str = "exponential(base = 30s, factor = 2, max = 5m)";

    let checked = if text.contains('(') {
        let wrong = || format!("{} is no recovery timeout: write `30s` or `{FORM}`", shown(text));
        let mut call = Call::read(text).filter(|call| call.name == "exponential").ok_or_else(wrong)?;
        let base = call.take("base").map_or(Ok(Duration::from_secs(30)), value::duration)?;
        let factor = call.take("factor").map_or(Ok(2.0), value::number)?;
        let max = call.take("max").map_or(Ok(Duration::from_mins(5)), value::duration)?;
        call.finish(FORM)?;
        config.try_exponential_recovery(base, factor, max)
    } else {
        config.try_recovery_timeout(value::duration(text)?)
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", shown(text)))
}
