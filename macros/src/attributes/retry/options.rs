//! The options of `#[retry]`.

use proc_macro2::Ident;
use syn::{Expr, Path};

use super::{
    schedule::{Backoff, Jitter},
    validate,
    values::{MaxAttempts, Nested, budget, enabled, max_attempts, nested, policy, stop_on},
};
use crate::{
    errors::Errors,
    item::function::Function,
    syntax::{
        closures,
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
    /// The longest hint that is followed.
    pub(super) max_retry_after: Option<DurationExpr>,
    pub(super) budget: Option<Path>,
    /// The policy, evaluated at each call, in place of the options above.
    pub(super) policy: Option<Expr>,
    /// The condition under which a call may make more than one attempt, evaluated at each call.
    pub(super) enabled: Option<Expr>,
    /// The signal that ends the retry.
    pub(super) stop_on: Option<Expr>,
    pub(super) nested: Option<Nested>,
    pub(super) condition: Condition,
    /// The hook that is called before each sleep.
    pub(super) hook: Option<Expr>,
    /// The arguments to clone although the body does not seem to move them.
    pub(super) clone: Vec<Ident>,
    /// The arguments that each attempt borrows mutably.
    pub(super) lend: Vec<Ident>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"charge\""),
        ("max_attempts", "max_attempts = 5"),
        ("backoff", "backoff = exponential(base = 100ms)"),
        ("jitter", "jitter = full"),
        ("max_elapsed", "max_elapsed = 30s"),
        ("max_retry_after", "max_retry_after = 60s"),
        ("retry_if", "retry_if(io::Error)"),
        ("retry_if_result", "retry_if_result = |value| ..."),
        ("budget", "budget = BUDGET"),
        ("policy", "policy = self.retry"),
        ("enabled", "enabled = request.is_idempotent()"),
        ("stop_on", "stop_on = SHUTDOWN"),
        ("nested", "nested = inherit"),
        ("on_retry", "on_retry = log_retry"),
        ("clone", "clone(order)"),
        ("lend", "lend(reader)"),
        ("allow_order", "allow_order"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[
        ("attempts", INCLUDES_FIRST),
        ("tries", INCLUDES_FIRST),
        ("retries", INCLUDES_FIRST),
        ("max_retries", INCLUDES_FIRST),
        ("times", INCLUDES_FIRST),
        ("max_times", INCLUDES_FIRST),
        ("max_tries", INCLUDES_FIRST),
        ("retry_count", INCLUDES_FIRST),
        ("count", INCLUDES_FIRST),
        ("limit", INCLUDES_FIRST),
        ("stop_after_attempt", INCLUDES_FIRST),
        ("max_retry_attempts", INCLUDES_FIRST),
        ("n", INCLUDES_FIRST),
        ("delay", FIXED),
        ("interval", FIXED),
        ("wait", FIXED),
        ("sleep", FIXED),
        ("wait_fixed", FIXED),
        ("sleep_duration", FIXED),
        ("fixed", FIXED),
        ("fixed_delay", FIXED),
        ("min_delay", BACKOFF),
        ("base_delay", BACKOFF),
        ("initial_delay", BACKOFF),
        ("initial_interval", BACKOFF),
        ("initial_backoff", BACKOFF),
        ("base", BACKOFF),
        ("max_delay", BACKOFF),
        ("max_interval", BACKOFF),
        ("max_backoff", BACKOFF),
        ("max", BACKOFF),
        ("factor", BACKOFF),
        ("multiplier", BACKOFF),
        ("exponential", BACKOFF),
        ("wait_exponential", BACKOFF),
        ("strategy", BACKOFF),
        ("policy_type", BACKOFF),
        ("schedule", BACKOFF),
        ("delays", BACKOFF),
        ("with_jitter", JITTER),
        ("randomization_factor", JITTER),
        ("random_delay", JITTER),
        ("use_jitter", JITTER),
        ("when", CONDITION),
        ("retry_on", CONDITION),
        ("retry_for", CONDITION),
        ("retryable", CONDITION),
        ("predicate", CONDITION),
        ("condition", CONDITION),
        ("filter", CONDITION),
        ("should_retry", CONDITION),
        ("on", CONDITION),
        ("on_error", CONDITION),
        ("errors", CONDITION),
        ("ignore", CONDITION),
        ("exclude", CONDITION),
        ("retry_unless", CONDITION),
        ("abort_if", CONDITION),
        ("handle", CONDITION),
        ("result", RESULT),
        ("until", RESULT),
        ("until_ok", RESULT),
        ("retry_on_result", RESULT),
        ("timeout", ELAPSED),
        ("deadline", ELAPSED),
        ("total_timeout", ELAPSED),
        ("max_duration", ELAPSED),
        ("max_retry_duration", ELAPSED),
        ("max_time", ELAPSED),
        ("total_delay", ELAPSED),
        ("max_elapsed_time", ELAPSED),
        ("time_limit", ELAPSED),
        ("notify", HOOK),
        ("log", HOOK),
        ("before_retry", HOOK),
        ("before_sleep", HOOK),
        ("before", HOOK),
        ("after", HOOK),
        ("callback", HOOK),
        ("cancel", STOP),
        ("cancellation", STOP),
        ("token", STOP),
        ("cancellation_token", STOP),
        ("shutdown", STOP),
        ("stop", STOP),
        ("stop_signal", STOP),
        ("breaker", OF_BREAKER),
        ("failure_threshold", OF_BREAKER),
        ("recovery_timeout", OF_BREAKER),
        ("half_open_max_calls", OF_BREAKER),
        ("failure_if", OF_BREAKER),
        ("failure_if_result", OF_BREAKER),
    ],
};
const FIXED: &str = "write `backoff = fixed(1s)`";
const BACKOFF: &str = "write `backoff = exponential(base = 100ms, factor = 2, max = 30s)`";
const JITTER: &str = "write `jitter = full`, `equal` or `proportional(0.1)`";
const CONDITION: &str = "write `retry_if = |error| ...` or `retry_if(io::Error)`";
const RESULT: &str = "write `retry_if_result = |result| ...`";
const ELAPSED: &str = "`max_elapsed` limits all attempts together; for each attempt, put a `#[timeout]` below";
const HOOK: &str = "write `on_retry = |attempt, delay, error| ...`";
const STOP: &str = "write `stop_on = TOKEN`";
const INCLUDES_FIRST: &str = "`max_attempts` is the number of calls, the first included";
const OF_BREAKER: &str = "it is an option of `#[circuit_breaker]`";

impl Retry {
    pub(super) fn parse_options(mut options: Options, function: &Function, errors: &mut Errors) -> Self {
        let advice = "for settings that are known at run time, create a `RetryPolicy` with them: `policy = self.retry`";
        options.refuse_run_time(
            &["max_attempts", "backoff", "jitter", "max_elapsed", "max_retry_after", "budget"],
            function,
            advice,
            errors,
        );
        validate::policy(&mut options, errors);
        let name = options.value("name", errors, values::name);
        let max_attempts = options.value("max_attempts", errors, max_attempts);
        let backoff = options.value("backoff", errors, Backoff::parse);
        let jitter = options.value("jitter", errors, Jitter::parse);
        let max_elapsed = options.value("max_elapsed", errors, |value| {
            DurationExpr::parse_positive("`max_elapsed`", "to make no retries, write `max_attempts = 1`", value)
        });
        let max_retry_after = options.value("max_retry_after", errors, |value| {
            DurationExpr::parse_positive("`max_retry_after`", "with 0, any hint would end the retry", value)
        });
        let budget = options.value("budget", errors, budget);
        let policy = options.value("policy", errors, policy);
        let enabled = options.value("enabled", errors, enabled);
        let stop_on = options.value("stop_on", errors, stop_on);
        let nested = options.value("nested", errors, nested);
        let hook = options.value("on_retry", errors, closures::hook);
        let by_value = options.value("retry_if_result", errors, |value| Condition::predicate("retry_if_result", value));
        let by_error = Condition::take(&mut options, "retry_if", errors);
        let clone = options.take("clone").and_then(|written| errors.handle(written.names()));
        let lend = options.take("lend").and_then(|written| errors.handle(written.names()));
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);

        validate::predicates(by_error.as_ref(), by_value.as_ref(), errors);
        validate::unlimited(max_attempts.as_ref(), max_elapsed.as_ref(), errors);
        validate::jitter(backoff.as_ref(), jitter.as_ref(), errors);
        validate::max_retry_after(max_retry_after.as_ref(), by_error.is_some() || by_value.is_some(), errors);
        Self {
            name: name.map(|given| given.value),
            max_attempts: max_attempts.map(|given| given.value),
            backoff: backoff.map(|given| given.value),
            jitter: jitter.map(|given| given.value),
            max_elapsed: max_elapsed.map(|given| given.value),
            max_retry_after: max_retry_after.map(|given| given.value),
            budget: budget.map(|given| given.value),
            policy: policy.map(|given| given.value),
            enabled: enabled.map(|given| given.value),
            stop_on: stop_on.map(|given| given.value),
            nested: nested.map(|given| given.value),
            condition: validate::condition(by_error, by_value, errors),
            hook: hook.map(|given| given.value),
            clone: clone.unwrap_or_default(),
            lend: lend.unwrap_or_default(),
            krate: krate.map(|given| given.value),
        }
    }

    /// Returns true if there can be only one attempt. If the policy has a name, external settings can allow more.
    pub(super) fn is_single(&self) -> bool {
        self.name.is_none()
            && self.policy.is_none()
            && matches!(&self.max_attempts, Some(MaxAttempts::Number(count)) if count.known() == Some(1))
    }

    /// Returns true if the hook is a closure that also takes the elapsed time.
    pub(super) fn is_timed(&self) -> bool {
        matches!(&self.hook, Some(Expr::Closure(hook)) if hook.inputs.len() == 4)
    }
}
