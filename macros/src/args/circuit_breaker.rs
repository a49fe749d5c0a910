//! `#[circuit_breaker(...)]`

mod settings;

use proc_macro2::Span;
use syn::{Expr, Path};

pub(crate) use self::settings::Settings;
use super::Condition;
use crate::{
    errors::Errors,
    options::{self, Count, Options},
};

/// What a `#[circuit_breaker]` asks for.
pub(crate) struct CircuitBreaker {
    /// Where the attribute stands.
    pub(crate) place: Span,
    pub(crate) target: Target,
    /// What tells apart the breakers of that name.
    pub(crate) key: Option<Expr>,
    /// How many of them there are at most.
    pub(crate) max_keys: Option<Count>,
    pub(crate) condition: Condition,
    pub(crate) krate: Option<Path>,
}

/// Which breaker it is.
pub(crate) enum Target {
    /// The one of that name, with these settings or with those declared elsewhere.
    Named { name: Expr, settings: Option<Settings> },
    /// The user's own static.
    Static(Expr),
    /// Not known: an error was reported.
    Missing,
}

const OPTIONS: [&str; 18] = [
    "name",
    "breaker",
    "key",
    "max_keys",
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
    "failure_if",
    "crate",
];

const OF_RETRY: &str = "it belongs to `#[retry]`";
const RATE: &str = "write `window = calls(100), failure_rate = 0.5`";
const HINTS: [(&str, &str); 21] = [
    ("threshold", "did you mean `failure_threshold`?"),
    ("max_failures", "did you mean `failure_threshold`?"),
    ("timeout", "`recovery_timeout` is how long the circuit stays open"),
    ("reset_timeout", "did you mean `recovery_timeout`?"),
    ("success_threshold", "`half_open_max_calls` is also the number of successes that close the circuit"),
    ("sliding_window", "write `window = calls(100)` or `window = time(60s)`"),
    ("window_size", "write `window = calls(100)` or `window = time(60s)`"),
    ("failure_rate_threshold", RATE),
    ("failure_ratio", RATE),
    ("error_rate", RATE),
    ("minimum_calls", "did you mean `min_calls`?"),
    ("minimum_number_of_calls", "did you mean `min_calls`?"),
    ("minimum_throughput", "did you mean `min_calls`?"),
    ("slow_call_threshold", "did you mean `slow_call`?"),
    ("permitted_calls", "did you mean `half_open_max_calls`?"),
    ("max_attempts", OF_RETRY),
    ("backoff", OF_RETRY),
    ("jitter", OF_RETRY),
    ("max_elapsed", OF_RETRY),
    ("retry_if", OF_RETRY),
    ("retry_if_result", OF_RETRY),
];

impl CircuitBreaker {
    pub(crate) fn parse(mut options: Options, attribute: Span, errors: &mut Errors) -> Self {
        let has_name = options.mentions("name", &OPTIONS) || options.mentions("breaker", &OPTIONS);
        let name = options.value("name", "name = \"payments\"", errors, super::name);
        let breaker = options.value("breaker", "breaker = PAYMENTS", errors, Ok);
        let key = options.value("key", "key = host", errors, Ok);
        let has_key = key.is_some();
        let max_keys = options.value("max_keys", "max_keys = 1_000", errors, |value| {
            Count::parse("max_keys", "with 0 all keys would share one breaker", value)
        });
        let (settings, keys) = Settings::take(&mut options, errors);
        let condition = Condition::take(&mut options, "failure_if", "failure_if(io::Error)", errors);
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);

        if let (Some(max_keys), false) = (&max_keys, has_key) {
            errors.at(&max_keys.key, "`max_keys` needs a `key`: `key = host`, and there is a breaker for each host");
        }
        if let (Some(key), false) = (&key, cfg!(feature = "keyed")) {
            errors.at(&key.key, "a breaker for each key needs steadfast's feature `keyed`");
        }

        let target = match (name, breaker) {
            (Some(_), Some(breaker)) => {
                errors.at(breaker.key, "`breaker` and `name` both say which breaker it is: give one of them");
                Target::Missing
            }
            (None, Some(breaker)) => {
                let of_static = if has_key { "KeyedBreakers" } else { "CircuitBreaker" };
                for key in keys {
                    let message = format!(
                        "`{key}` is set where the static is declared: `{of_static}::new(name, BreakerConfig::new().{key}(...))`"
                    );
                    errors.at(&key, message);
                }
                if let (Some(max_keys), true) = (&max_keys, has_key) {
                    let message = "`max_keys` is set where the static is declared: `KeyedBreakers::new(name, config).max_keys(...)`";
                    errors.at(&max_keys.key, message);
                }
                Target::Static(breaker.value)
            }
            (Some(name), None) => Target::Named { name: name.value, settings },
            (None, None) => {
                // A name that was written but not understood is one mistake, and reported.
                if !has_name {
                    errors.at_span(
                        attribute,
                        "a circuit breaker needs a name: `name = \"payments\"`\nfunctions with the same name share one breaker",
                    );
                }
                Target::Missing
            }
        };
        Self {
            place: attribute,
            target,
            key: key.map(|given| given.value),
            max_keys: max_keys.map(|given| given.value),
            condition: condition.unwrap_or(Condition::ByType),
            krate: krate.map(|given| given.value),
        }
    }
}
