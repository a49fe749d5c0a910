//! The options of `#[retry]`.

use proc_macro2::Ident;
use syn::{Expr, Path};

use super::{
    schedule::{Backoff, Jitter},
    validate,
    values::{MaxAttempts, Nested, budget, hook, max_attempts, nested, stop_on},
};
use crate::{
    errors::Errors,
    syntax::{
        condition::Condition,
        duration::DurationExpr,
        options::{Grammar, Options},
        values,
    },
};

/// A `#[retry]` attribute.
pub(crate) struct Retry {
    /// The name by which external settings refer to the policy.
    pub(super) name: Option<Expr>,
    pub(super) max_attempts: Option<MaxAttempts>,
    pub(super) backoff: Option<Backoff>,
    pub(super) jitter: Option<Jitter>,
    pub(super) max_elapsed: Option<DurationExpr>,
    pub(super) budget: Option<Path>,
    /// The signal that ends the retry.
    pub(super) stop_on: Option<Expr>,
    pub(super) nested: Option<Nested>,
    pub(super) condition: Condition,
    /// The hook that is called before each sleep.
    pub(super) hook: Option<Expr>,
    /// The arguments to clone although the body does not seem to move them.
    pub(super) clone: Vec<Ident>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"charge\""),
        ("max_attempts", "max_attempts = 5"),
        ("backoff", "backoff = exponential(base = 100ms)"),
        ("jitter", "jitter = full"),
        ("max_elapsed", "max_elapsed = 30s"),
        ("retry_if", "retry_if(io::Error)"),
        ("retry_if_result", "retry_if_result = |value| ..."),
        ("budget", "budget = BUDGET"),
        ("stop_on", "stop_on = SHUTDOWN"),
        ("nested", "nested = inherit"),
        ("on_retry", "on_retry = log_retry"),
        ("clone", "clone(order)"),
        ("allow_order", "allow_order"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[
        ("attempts", INCLUDES_FIRST),
        ("tries", INCLUDES_FIRST),
        ("retries", INCLUDES_FIRST),
        ("max_retries", INCLUDES_FIRST),
        ("times", INCLUDES_FIRST),
        ("delay", "write `backoff = fixed(1s)`"),
        ("when", "write `retry_if = |error| ...`"),
        ("timeout", "`max_elapsed` limits all attempts together"),
        ("cancel", "write `stop_on = TOKEN`"),
        ("breaker", OF_BREAKER),
        ("failure_threshold", OF_BREAKER),
        ("recovery_timeout", OF_BREAKER),
        ("half_open_max_calls", OF_BREAKER),
        ("failure_if", OF_BREAKER),
        ("failure_if_result", OF_BREAKER),
    ],
};
const INCLUDES_FIRST: &str = "`max_attempts` is the number of calls, the first included";
const OF_BREAKER: &str = "it is an option of `#[circuit_breaker]`";

impl Retry {
    pub(super) fn parse_options(mut options: Options, errors: &mut Errors) -> Self {
        let name = options.value("name", errors, values::name);
        let max_attempts = options.value("max_attempts", errors, max_attempts);
        let backoff = options.value("backoff", errors, Backoff::parse);
        let jitter = options.value("jitter", errors, Jitter::parse);
        let max_elapsed = options.value("max_elapsed", errors, |value| {
            DurationExpr::parse_positive("`max_elapsed`", "to make no retries, write `max_attempts = 1`", value)
        });
        let budget = options.value("budget", errors, budget);
        let stop_on = options.value("stop_on", errors, stop_on);
        let nested = options.value("nested", errors, nested);
        let hook = options.value("on_retry", errors, hook);
        let by_value = options.value("retry_if_result", errors, |value| Condition::predicate("retry_if_result", value));
        let by_error = Condition::take(&mut options, "retry_if", errors);
        let clone = options.take("clone").and_then(|written| errors.handle(written.names()));
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);

        validate::predicates(by_error.as_ref(), by_value.as_ref(), errors);
        validate::unlimited(max_attempts.as_ref(), max_elapsed.as_ref(), errors);
        validate::jitter(backoff.as_ref(), jitter.as_ref(), errors);
        Self {
            name: name.map(|given| given.value),
            max_attempts: max_attempts.map(|given| given.value),
            backoff: backoff.map(|given| given.value),
            jitter: jitter.map(|given| given.value),
            max_elapsed: max_elapsed.map(|given| given.value),
            budget: budget.map(|given| given.value),
            stop_on: stop_on.map(|given| given.value),
            nested: nested.map(|given| given.value),
            condition: validate::condition(by_error, by_value, errors),
            hook: hook.map(|given| given.value),
            clone: clone.unwrap_or_default(),
            krate: krate.map(|given| given.value),
        }
    }

    /// Returns true if there can be only one attempt. If the policy has a name, external settings can allow more.
    pub(super) fn is_single(&self) -> bool {
        self.name.is_none()
            && matches!(&self.max_attempts, Some(MaxAttempts::Number(count)) if count.known() == Some(1))
    }

    /// Returns true if the hook is a closure that also takes the elapsed time.
    pub(super) fn is_timed(&self) -> bool {
        matches!(&self.hook, Some(Expr::Closure(hook)) if hook.inputs.len() == 4)
    }
}
