//! Breaker settings from files and the environment.

use std::time::Duration;

use super::{BreakerConfig, Window};
use crate::{
    registry::MergeSection,
    settings::{
        Assignment, Issues, Section, quoted, unknown,
        value::{self, Call, Parsed},
    },
};

pub(crate) const OPTIONS: [&str; 16] = [
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
    "half_open_successes",
    "ramp_up",
    "observe_only",
    "hung_call",
    "cancelled_call",
    "durations",
];

/// The value that removes the failure threshold beside a window.
const NONE: &str = "none";

impl MergeSection for BreakerConfig {
    fn merge(below: Option<Self>, section: &Section, issues: &mut Issues) -> Option<Self> {
        let mut config = below.unwrap_or_default();
        // The preset and the window come first, because the other options modify them.
        for pass in [
            |option: &str| option == "preset",
            |option: &str| option == "window",
            |option: &str| option != "preset" && option != "window",
        ] {
            config = section.apply(
                config,
                issues,
                |config, option, text| {
                    if pass(option) { set(config, option, text) } else { Ok(config) }
                },
            );
        }
        // An invalid window is one issue: the options that depend on the window are not reported, too.
        let is_window_invalid =
            section.find("window").is_some_and(|assignment| window(config, assignment.value.trim()).is_err());
        if !is_window_invalid {
            check(config, section, issues);
        }
        Some(config)
    }
}

/// Reports options that contradict each other.
fn check(config: BreakerConfig, section: &Section, issues: &mut Issues) {
    let most = config.get_half_open_max_calls();
    if let Some(successes) = section.find("half_open_successes")
        && value::count(successes.value.trim()).is_ok_and(|successes| (most + 1..=u8::MAX.into()).contains(&successes))
    {
        let message = format!("must be at most {most}, the number of trial calls (`half_open_max_calls`)");
        issues.add(&successes.source, &successes.key, message);
    }
    if !config.has_window() {
        for option in ["failure_rate", "min_calls", "slow_call", "slow_call_rate"] {
            if let Some(Assignment { source, key, .. }) = section.find(option) {
                issues.add(source, key, "needs a window: `window = \"calls(100)\"` or `window = \"time(60s)\"`");
            }
        }
        if let Some(Assignment { source, key, value, .. }) = section.find("failure_threshold")
            && value.trim() == NONE
        {
            issues.add(source, key, "needs a window: without one, the failure threshold alone opens the circuit");
        }
        return;
    }
    if let (Some(rate), false, None) =
        (section.find("slow_call_rate"), config.has_slow_calls(), section.find("slow_call"))
    {
        issues.add(&rate.source, &rate.key, "needs a definition of slow calls: `slow_call = \"2s\"`");
    }
    if let (Some(min_calls), Some(size)) = (section.find("min_calls"), config.window_calls())
        && value::count(min_calls.value.trim()).is_ok_and(|calls| calls > size)
    {
        let message = format!("must be at most {size}, the number of calls in the window");
        issues.add(&min_calls.source, &min_calls.key, message);
    }
}

fn set(config: BreakerConfig, option: &str, text: &str) -> Parsed<BreakerConfig> {
    let checked = match option {
        "preset" => return preset(text),
        "window" => return window(config, text),
        "recovery_timeout" => return recovery_timeout(config, text),
        "failure_threshold" if text == NONE => Ok(config.without_threshold()),
        "failure_threshold" => config.try_failure_threshold(value::count(text)?),
        "failure_rate" => config.try_failure_rate(value::number(text)?),
        "min_calls" => config.try_min_calls(value::count(text)?),
        "slow_call" => config.try_slow_call(value::duration(text)?),
        "slow_call_rate" => config.try_slow_call_rate(value::number(text)?),
        "recovery_jitter" => config.try_recovery_jitter(value::number(text)?),
        "half_open_max_calls" => config.try_half_open_max_calls(value::count(text)?),
        "half_open_successes" => config.try_half_open_successes(value::count(text)?),
        "ramp_up" => Ok(config.ramp_up(value::duration(text)?)),
        "hung_call" => config.try_hung_call(value::duration(text)?),
        "cancelled_call" => config.try_cancelled_call(value::duration(text)?),
        "durations" => Ok(config.durations(value::flag(text)?)),
        "observe_only" => Ok(config.observe_only(value::flag(text)?)),
        _ => return Err(unknown("option", option, &OPTIONS)),
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}

fn preset(text: &str) -> Parsed<BreakerConfig> {
    Ok(match text {
        "critical" => BreakerConfig::critical(),
        "non_critical" => BreakerConfig::non_critical(),
        "flaky_api" => BreakerConfig::flaky_api(),
        "database" => BreakerConfig::database(),
        _ => return Err(unknown("preset", text, &["critical", "non_critical", "flaky_api", "database"])),
    })
}

fn window(config: BreakerConfig, text: &str) -> Parsed<BreakerConfig> {
    const FORMS: &str = "calls(100)`, `time(60s)` or `none";

    let invalid = || format!("{} is not a window: write `{FORMS}`", quoted(text));
    let mut call = Call::parse(text).ok_or_else(invalid)?;
    let size = call.take("");
    let window = match (call.name, size) {
        ("none", None) => None,
        ("calls", Some(size)) => Some(Window::try_calls(value::count(size)?)),
        ("time", Some(size)) => Some(Window::try_time(value::duration(size)?)),
        _ => return Err(invalid()),
    };
    call.finish(FORMS)?;
    match window.transpose() {
        Ok(window) => Ok(window.map_or_else(|| config.without_window(), |window| config.window(window))),
        Err(problem) => Err(format!("{} is out of range: {problem}", quoted(text))),
    }
}

fn recovery_timeout(config: BreakerConfig, text: &str) -> Parsed<BreakerConfig> {
    const FORM: &str = "exponential(base = 30s, factor = 2, max = 5m)";

    let checked = if text.contains('(') {
        let invalid = || format!("{} is not a recovery timeout: write `30s` or `{FORM}`", quoted(text));
        let mut call = Call::parse(text).filter(|call| call.name == "exponential").ok_or_else(invalid)?;
        let base = call.take("base").map_or(Ok(Duration::from_secs(30)), value::duration)?;
        let factor = call.take("factor").map_or(Ok(2.0), value::number)?;
        let max = call.take("max").map_or(Ok(Duration::from_mins(5)), value::duration)?;
        call.finish(FORM)?;
        config.try_exponential_recovery(base, factor, max)
    } else {
        config.try_recovery_timeout(value::duration(text)?)
    };
    checked.map_err(|problem| format!("{} is out of range: {problem}", quoted(text)))
}
