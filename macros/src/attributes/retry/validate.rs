//! The checks across the options of `#[retry]`.

use syn::{Error, Expr};

use super::{
    schedule::{Backoff, Jitter},
    values::MaxAttempts,
};
use crate::{
    errors::Errors,
    syntax::{
        condition::Condition,
        duration::DurationExpr,
        options::{Given, Options},
    },
};

/// Reports predicates with the wrong number of parameters. A predicate takes the error or the value, and optionally the number of the
/// attempt.
pub(super) fn predicates(by_error: Option<&Condition>, by_value: Option<&Given<Expr>>, errors: &mut Errors) {
    predicate("retry_if_result", "value", by_value.map(|given| &given.value), errors);
    if let Some(Condition::Error(by_error)) = by_error {
        predicate("retry_if", "error", Some(by_error), errors);
    }
}

fn predicate(name: &str, judged: &str, predicate: Option<&Expr>, errors: &mut Errors) {
    if let Some(Expr::Closure(closure)) = predicate
        && !matches!(closure.inputs.len(), 1 | 2)
    {
        errors.push(Error::new_spanned(
            closure,
            format!("`{name}` must be a closure over the {judged}, or over the {judged} and the number of the attempt: `|{judged}, attempt| ...`"),
        ));
    }
}

/// The options that are part of a policy. The methods of `RetryPolicy` that set them have the same names.
const PARTS_OF_POLICY: [&str; 8] =
    ["name", "max_attempts", "backoff", "jitter", "max_elapsed", "max_retry_after", "budget", "nested"];

/// Reports options beside `policy` that are part of the policy, and removes them.
pub(super) fn policy(options: &mut Options, errors: &mut Errors) {
    if !options.is_given("policy") {
        return;
    }
    for option in PARTS_OF_POLICY {
        if let Some(written) = options.take(option) {
            let message = format!("`{option}` is part of the policy: set it there, by `RetryPolicy::{option}`");
            errors.at(written.key, message);
        }
    }
}

/// Reports an unlimited number of attempts without a time limit.
pub(super) fn unlimited(
    max_attempts: Option<&Given<MaxAttempts>>,
    max_elapsed: Option<&Given<DurationExpr>>,
    errors: &mut Errors,
) {
    if let (Some(Given { key, value: MaxAttempts::Unlimited }), None) = (max_attempts, max_elapsed) {
        errors.at(key, "`max_attempts = unlimited` would retry forever: add a time limit, such as `max_elapsed = 30s`");
    }
}

/// Reports a limit on hints if hints are not used, because a condition judges the errors.
pub(super) fn max_retry_after(limit: Option<&Given<DurationExpr>>, has_condition: bool, errors: &mut Errors) {
    if let (Some(Given { key, .. }), true) = (limit, has_condition) {
        errors.at(key, "`max_retry_after` has no effect here: with `retry_if` or `retry_if_result`, the hint of an error is not used");
    }
}

/// Reports jitter that has no effect, because there is no delay or because the delays are already random.
pub(super) fn jitter(backoff: Option<&Given<Backoff>>, jitter: Option<&Given<Jitter>>, errors: &mut Errors) {
    let (Some(backoff), Some(jitter)) = (backoff, jitter) else { return };
    if let Jitter::None = jitter.value {
        return; // `jitter = none` is correct with any backoff.
    }
    let reason = match backoff.value.name.to_string().as_str() {
        "none" => "there is no delay to spread",
        "decorrelated" => "its delays are random already",
        _ => return,
    };
    errors.at(&jitter.key, format!("`jitter` has no effect with `backoff = {}`: {reason}", backoff.value.name));
}

/// Merges `retry_if` and `retry_if_result`, of which only one may be given.
pub(super) fn condition(by_error: Option<Condition>, by_value: Option<Given<Expr>>, errors: &mut Errors) -> Condition {
    match (by_error, by_value) {
        (Some(_), Some(by_value)) => {
            errors.at(
                by_value.key,
                "`retry_if_result` and `retry_if` both decide when to retry: remove one of them\n\
                 `retry_if_result` is called with the whole value, errors included",
            );
            Condition::Any
        }
        (Some(condition), None) => condition,
        (None, Some(Given { value, .. })) => Condition::Value(value),
        (None, None) => Condition::Default,
    }
}
