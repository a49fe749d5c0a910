//! The options of `#[circuit_breaker]`.

use proc_macro2::Span;
use syn::{Expr, Path};

use super::settings::Settings;
use crate::{
    errors::Errors,
    item::function::Function,
    syntax::{
        condition::Condition,
        instance::{Instance, Terms},
        options::{Given, Grammar, Options},
        text,
        values::{self, Count},
    },
};

/// A `#[circuit_breaker]` attribute.
pub(crate) struct CircuitBreaker {
    /// The span of the attribute.
    pub(super) attribute: Span,
    pub(super) instance: Instance,
    /// The settings. `None` if they are declared elsewhere.
    pub(super) settings: Option<Settings>,
    /// The key that selects one of the breakers with this name.
    pub(super) key: Option<Expr>,
    /// The maximum number of keys.
    pub(super) max_keys: Option<Count>,
    /// The condition under which an error, or the returned value, is a failure.
    pub(super) condition: Condition,
    /// The function that creates the error of a rejected call.
    pub(super) rejection: Option<Expr>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"payments\""),
        ("breaker", "breaker = PAYMENTS"),
        ("key", "key = host"),
        ("max_keys", "max_keys = 1_000"),
        ("preset", "preset = critical"),
        ("failure_threshold", "failure_threshold = 5"),
        ("window", "window = calls(100)"),
        ("failure_rate", "failure_rate = 0.5"),
        ("min_calls", "min_calls = 10"),
        ("slow_call", "slow_call = 2s"),
        ("slow_call_rate", "slow_call_rate = 0.5"),
        ("recovery_timeout", "recovery_timeout = 30s"),
        ("recovery_jitter", "recovery_jitter = 0.1"),
        ("half_open_max_calls", "half_open_max_calls = 3"),
        ("half_open_successes", "half_open_successes = 2"),
        ("ramp_up", "ramp_up = 30s"),
        ("observe_only", "observe_only = true"),
        ("hung_call", "hung_call = 5s"),
        ("cancelled_call", "cancelled_call = 300ms"),
        ("durations", "durations = true"),
        ("failure_if", "failure_if(io::Error)"),
        ("failure_if_result", "failure_if_result = |result| ..."),
        ("rejection", "rejection = |open| ..."),
        ("allow_order", "allow_order"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[
        ("threshold", THRESHOLD),
        ("max_failures", THRESHOLD),
        ("failures", THRESHOLD),
        ("failure_count", THRESHOLD),
        ("consecutive_failures", THRESHOLD),
        ("error_threshold", THRESHOLD),
        ("trip_after", THRESHOLD),
        ("failures_allowed", THRESHOLD),
        (
            "timeout",
            "`recovery_timeout` is the time that the circuit stays open; to limit the duration of a call, put a `#[timeout(5s)]` below",
        ),
        ("call_timeout", TIMEOUT),
        ("reset_timeout", RECOVERY),
        ("open_duration", RECOVERY),
        ("open_timeout", RECOVERY),
        ("break_duration", RECOVERY),
        ("cooldown", RECOVERY),
        ("cooldown_period", RECOVERY),
        ("sleep_window", RECOVERY),
        ("open_wait", RECOVERY),
        ("retry_after", RECOVERY),
        ("half_open_after", RECOVERY),
        ("half_open_timeout", RECOVERY),
        ("recovery_time", RECOVERY),
        ("recovery", RECOVERY),
        ("wait_duration", RECOVERY),
        ("wait_duration_in_open", RECOVERY),
        ("wait_duration_in_open_state", RECOVERY),
        ("success_threshold", SUCCESSES),
        ("successes", SUCCESSES),
        ("success_count", SUCCESSES),
        ("permitted_number_of_calls_in_half_open_state", TRIALS),
        ("half_open_requests", TRIALS),
        ("half_open_calls", TRIALS),
        ("max_requests", TRIALS),
        ("trial_calls", TRIALS),
        ("sliding_window", WINDOW),
        ("sliding_window_size", WINDOW),
        ("sliding_window_type", WINDOW),
        ("window_size", WINDOW),
        ("sampling_duration", WINDOW),
        ("interval", WINDOW),
        ("rolling_window", WINDOW),
        ("buckets", WINDOW),
        ("failure_rate_threshold", RATE),
        ("error_threshold_percentage", RATE),
        ("error_ratio", RATE),
        ("failure_ratio", RATE),
        ("error_rate", RATE),
        ("minimum_calls", "did you mean `min_calls`?"),
        ("minimum_number_of_calls", "did you mean `min_calls`?"),
        ("minimum_throughput", "did you mean `min_calls`?"),
        ("volume_threshold", "did you mean `min_calls`?"),
        ("request_volume_threshold", "did you mean `min_calls`?"),
        ("min_throughput", "did you mean `min_calls`?"),
        ("slow_call_rate_threshold", "did you mean `slow_call_rate`?"),
        ("slow_call_threshold", "did you mean `slow_call`?"),
        ("hung_call_threshold", "did you mean `hung_call`?"),
        ("slow_call_duration_threshold", "did you mean `slow_call`?"),
        ("permitted_calls", "did you mean `half_open_max_calls`?"),
        ("is_failure", CONDITION),
        ("predicate", CONDITION),
        ("errors", CONDITION),
        ("handle", CONDITION),
        ("record_exceptions", CONDITION),
        ("ignore_exceptions", CONDITION),
        ("record_errors", CONDITION),
        ("ignore_errors", CONDITION),
        ("ignore", CONDITION),
        ("fallback", "put a `#[fallback(cached)]` above"),
        ("hang_timeout", HUNG),
        ("max_duration", HUNG),
        ("call_duration", HUNG),
        ("max_attempts", OF_RETRY),
        ("backoff", OF_RETRY),
        ("jitter", OF_RETRY),
        ("max_elapsed", OF_RETRY),
        ("retry_if", OF_RETRY),
        ("retry_if_result", OF_RETRY),
    ],
};
/// The options whose value is a constant.
const CONSTANTS: [&str; 16] = [
    "max_keys",
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
const THRESHOLD: &str = "did you mean `failure_threshold`?";
const TIMEOUT: &str = "to limit the duration of a call, put a `#[timeout(5s)]` below";
const RECOVERY: &str = "did you mean `recovery_timeout`?";
const SUCCESSES: &str = "did you mean `half_open_successes`?";
const TRIALS: &str = "did you mean `half_open_max_calls`?";
const WINDOW: &str = "write `window = calls(100)` or `window = time(60s)`";
const CONDITION: &str = "write `failure_if = |error| ...` or `failure_if(io::Error)`";
const HUNG: &str = "write `hung_call = 5s`, or put a `#[timeout(5s)]` below";
const RATE: &str = "write `window = calls(100), failure_rate = 0.5`";
const OF_RETRY: &str = "it is an option of `#[retry]`";

const TERMS: Terms =
    Terms { option: "breaker", name: "payments", noun: "circuit breaker", types: ["CircuitBreaker", "KeyedBreakers"] };

impl CircuitBreaker {
    pub(super) fn parse_options(
        mut options: Options,
        attribute: Span,
        function: &Function,
        errors: &mut Errors,
    ) -> Self {
        let advice = "for settings that are known at run time, create the breaker with them: `breaker = self.breaker`";
        options.refuse_run_time(&CONSTANTS, function, advice, errors);
        let instance = Instance::take(&mut options, &TERMS, attribute, function, errors);
        let key = options.value("key", errors, Ok);
        let max_keys = options.value("max_keys", errors, |value| {
            Count::parse("max_keys", "with 0, all keys would share one breaker", value)
        });
        let (settings, given) = Settings::take(&mut options, errors);
        let by_error = Condition::take(&mut options, "failure_if", errors);
        let by_value =
            options.value("failure_if_result", errors, |value| Condition::predicate("failure_if_result", value));
        let rejection = options.value("rejection", errors, |value| values::rejection("open", value));
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);

        if let (Some(max_keys), None) = (&max_keys, &key) {
            errors.at(&max_keys.key, "`max_keys` needs a `key`, such as `key = host` for one breaker per host");
        }
        if let (Some(key), false) = (&key, cfg!(feature = "keyed")) {
            errors.at(&key.key, "a breaker per key needs steadfast's feature `keyed`");
        }
        let ty = if key.is_some() { "KeyedBreakers" } else { "CircuitBreaker" };
        instance.check_settings(&given, |key| format!("{ty}::new(name, BreakerConfig::new().{key}(...))"), errors);
        if let (Some(max_keys), Some(_)) = (&max_keys, &key) {
            let example = "KeyedBreakers::new(name, config).max_keys(...)";
            instance.check_settings([&max_keys.key], |_| example.to_owned(), errors);
        }
        Self {
            attribute,
            instance,
            settings,
            key: key.map(|given| given.value),
            max_keys: max_keys.map(|given| given.value),
            condition: condition(by_error, by_value, errors),
            rejection: rejection.map(|given| given.value),
            krate: krate.map(|given| given.value),
        }
    }

    /// The text of the condition, with its types in alphabetical order. `None` if every error is a failure. The runtime
    /// compares the texts of functions that share a breaker.
    pub(super) fn failure_if(&self) -> Option<String> {
        match &self.condition {
            Condition::Default | Condition::Any => None,
            Condition::Types(types) => {
                let mut types: Vec<_> = types.iter().map(text::one_line).collect();
                types.sort_unstable();
                types.dedup();
                Some(format!("failure_if({})", types.join(", ")))
            }
            Condition::Error(predicate) => Some(format!("failure_if = {}", text::one_line(predicate))),
            Condition::Value(predicate) => Some(format!("failure_if_result = {}", text::one_line(predicate))),
        }
    }
}

/// Merges `failure_if` and `failure_if_result`, of which only one may be given.
fn condition(by_error: Option<Condition>, by_value: Option<Given<Expr>>, errors: &mut Errors) -> Condition {
    match (by_error, by_value) {
        (Some(condition), Some(by_value)) => {
            errors.at(
                by_value.key,
                "`failure_if_result` and `failure_if` both decide what is a failure: remove one of them\n\
                 `failure_if_result` is called with the whole value, errors included",
            );
            condition
        }
        (Some(condition), None) => condition,
        (None, Some(Given { value, .. })) => Condition::Value(value),
        (None, None) => Condition::Default,
    }
}
