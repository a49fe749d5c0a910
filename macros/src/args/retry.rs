//! `#[retry(...)]`

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Expr, Path, Result, spanned::Spanned};

use super::{
    Condition,
    schedule::{self, Backoff, Jitter},
};
use crate::{
    duration::Time,
    errors::Errors,
    options::{self, Count, Given, Options, word},
};

/// What a `#[retry]` asks for.
pub(crate) struct Retry {
    /// By which settings from outside find it.
    pub(crate) name: Option<Expr>,
    attempts: Option<Attempts>,
    backoff: Option<Backoff>,
    jitter: Option<Jitter>,
    max_elapsed: Option<Time>,
    budget: Option<Path>,
    /// What ends it from outside.
    pub(crate) stop_on: Option<Expr>,
    nested: Option<Nested>,
    pub(crate) condition: Condition,
    /// What is called before each sleep.
    pub(crate) hook: Option<Expr>,
    /// Arguments to clone although the body does not seem to move them.
    pub(crate) clone: Vec<Ident>,
    pub(crate) krate: Option<Path>,
}

enum Nested {
    Independent,
    Inherit,
}

enum Attempts {
    Number(Count),
    Unlimited,
}

const OPTIONS: [&str; 13] = [
    "name",
    "max_attempts",
    "backoff",
    "jitter",
    "max_elapsed",
    "retry_if",
    "retry_if_result",
    "budget",
    "stop_on",
    "nested",
    "on_retry",
    "clone",
    "crate",
];

const COUNTS_ALL: &str = "`max_attempts` is the number of calls, the first included";
const OF_BREAKER: &str = "it belongs to `#[circuit_breaker]`";
const HINTS: [(&str, &str); 14] = [
    ("attempts", COUNTS_ALL),
    ("tries", COUNTS_ALL),
    ("retries", COUNTS_ALL),
    ("max_retries", COUNTS_ALL),
    ("times", COUNTS_ALL),
    ("delay", "write `backoff = fixed(1s)`"),
    ("when", "write `retry_if = |error| ...`"),
    ("timeout", "`max_elapsed` limits all attempts together"),
    ("cancel", "write `stop_on = TOKEN`"),
    ("breaker", OF_BREAKER),
    ("failure_threshold", OF_BREAKER),
    ("recovery_timeout", OF_BREAKER),
    ("half_open_max_calls", OF_BREAKER),
    ("failure_if", OF_BREAKER),
];

impl Retry {
    pub(crate) fn parse(mut options: Options, errors: &mut Errors) -> Self {
        let name = options.value("name", "name = \"charge\"", errors, super::name);
        let attempts = options.value("max_attempts", "max_attempts = 5", errors, attempts);
        let backoff = options.value("backoff", "backoff = exponential(base = 100ms)", errors, Backoff::parse);
        let jitter = options.value("jitter", "jitter = full", errors, Jitter::parse);
        let max_elapsed = options.value("max_elapsed", "max_elapsed = 30s", errors, |value| {
            super::positive("`max_elapsed`", "`max_attempts = 1` makes no retry", value)
        });
        let budget = options.value("budget", "budget = BUDGET", errors, budget);
        let stop_on = options.value("stop_on", "stop_on = SHUTDOWN", errors, stop_on);
        let nested = options.value("nested", "nested = inherit", errors, nested);
        let on_retry = options.value("on_retry", "on_retry = log_retry", errors, hook);
        let by_value = options.value("retry_if_result", "retry_if_result = |value| ...", errors, |value| {
            Condition::predicate("retry_if_result", value)
        });
        let by_error = Condition::take(&mut options, "retry_if", "retry_if(io::Error)", errors);
        let clone = options.take("clone").and_then(|written| errors.keep(written.names("clone(order)")));
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);

        check_parameters("retry_if_result", "value", by_value.as_ref().map(|given| &given.value), errors);
        if let Some(Condition::Error(predicate)) = &by_error {
            check_parameters("retry_if", "error", Some(predicate), errors);
        }
        check_unlimited(attempts.as_ref(), max_elapsed.as_ref(), errors);
        schedule::check_jitter(backoff.as_ref(), jitter.as_ref(), errors);

        let condition = match (by_error, by_value) {
            (Some(_), Some(by_value)) => {
                errors.at(
                    by_value.key,
                    "`retry_if_result` and `retry_if` both say when to retry: give one of them\n\
                     `retry_if_result` sees the whole value, errors included",
                );
                Condition::Any
            }
            (Some(condition), None) => condition,
            (None, Some(Given { value, .. })) => Condition::Value(value),
            (None, None) => Condition::ByType,
        };
        Self {
            name: name.map(|given| given.value),
            attempts: attempts.map(|given| given.value),
            backoff: backoff.map(|given| given.value),
            jitter: jitter.map(|given| given.value),
            max_elapsed: max_elapsed.map(|given| given.value),
            budget: budget.map(|given| given.value),
            stop_on: stop_on.map(|given| given.value),
            nested: nested.map(|given| given.value),
            condition,
            hook: on_retry.map(|given| given.value),
            clone: clone.unwrap_or_default(),
            krate: krate.map(|given| given.value),
        }
    }

    /// Whether the first attempt is known to be the last. Settings from outside may say otherwise.
    pub(crate) fn is_single(&self) -> bool {
        self.name.is_none() && matches!(&self.attempts, Some(Attempts::Number(count)) if count.known() == Some(1))
    }

    /// Whether the policy refers to a static of the user's.
    pub(crate) fn refers_to_static(&self) -> bool {
        self.budget.is_some() || self.backoff.as_ref().is_some_and(|backoff| backoff.is_own)
    }

    /// Whether its hook wants to know the time that has passed: a closure that takes it.
    pub(crate) fn is_timed(&self) -> bool {
        matches!(&self.hook, Some(Expr::Closure(hook)) if hook.inputs.len() == 4)
    }

    /// The policy as a const expression.
    pub(crate) fn policy(&self, krate: &TokenStream, function: &str) -> TokenStream {
        let name = match &self.name {
            Some(name) => quote!(#name),
            None => {
                let function = format!("::{function}");
                quote!(::core::concat!(::core::module_path!(), #function))
            }
        };
        let attempts = match (&self.attempts, &self.max_elapsed) {
            (Some(Attempts::Unlimited), Some(limit)) => Some(quote!(.unlimited(#limit))),
            (Some(Attempts::Number(count)), _) => Some(quote!(.max_attempts(#count))),
            _ => None,
        };
        let backoff = self.backoff.as_ref().map(|backoff| {
            let schedule = backoff.schedule(krate);
            quote!(.backoff(#schedule))
        });
        let jitter = self.jitter.as_ref().map(|jitter| {
            let jitter = jitter.tokens(krate);
            quote!(.jitter(#jitter))
        });
        let max_elapsed = self.max_elapsed.as_ref().map(|limit| quote!(.max_elapsed(#limit)));
        let budget = self.budget.as_ref().map(|budget| {
            // A static of another type is a mistake at its path.
            let place = Span::call_site().located_at(budget.span());
            let own = quote_spanned!(place=> &#budget);
            quote!(.budget(#own))
        });
        let nested = self.nested.as_ref().map(|nested| {
            let nested = nested.tokens(krate);
            quote!(.nested(#nested))
        });
        let timed = self.is_timed().then(|| quote!(.timed()));
        quote!(#krate::RetryPolicy::new().name(#name) #attempts #backoff #jitter #max_elapsed #budget #nested #timed)
    }
}

fn hook(value: Expr) -> Result<Expr> {
    match value {
        Expr::Lit(_) => Err(Error::new_spanned(
            value,
            "`on_retry` is a function of the attempt that failed, the delay and the error: `fn(u32, Duration, &Error)`",
        )),
        value => Ok(value),
    }
}

impl Nested {
    fn tokens(&self, krate: &TokenStream) -> TokenStream {
        match self {
            Self::Independent => quote!(#krate::Nested::Independent),
            Self::Inherit => quote!(#krate::Nested::Inherit),
        }
    }
}

fn nested(value: Expr) -> Result<Nested> {
    match word(&value).map(ToString::to_string).as_deref() {
        Some("independent") => Ok(Nested::Independent),
        Some("inherit") => Ok(Nested::Inherit),
        _ => Err(Error::new_spanned(
            value,
            "`nested` is `independent` (it retries within a retry as well) or `inherit` (it leaves that to the retry around it)",
        )),
    }
}

fn stop_on(value: Expr) -> Result<Expr> {
    match value {
        Expr::Lit(_) | Expr::Closure(_) => Err(Error::new_spanned(
            value,
            "`stop_on` is a signal, such as a `static SHUTDOWN: StopSignal = StopSignal::new();` or a cancellation token",
        )),
        value => Ok(value),
    }
}

fn budget(value: Expr) -> Result<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => Err(Error::new_spanned(
            other,
            "`budget` is the path of a `static` that functions share: `static BUDGET: RetryBudget = RetryBudget::new();`",
        )),
    }
}

fn attempts(value: Expr) -> Result<Attempts> {
    match word(&value) {
        Some(name) if name == "unlimited" => Ok(Attempts::Unlimited),
        _ => Count::parse("max_attempts", "it counts the first call as well", value).map(Attempts::Number),
    }
}

/// A predicate sees what is judged, and perhaps the number of the attempt.
fn check_parameters(name: &str, judged: &str, predicate: Option<&Expr>, errors: &mut Errors) {
    if let Some(Expr::Closure(closure)) = predicate
        && !matches!(closure.inputs.len(), 1 | 2)
    {
        errors.push(Error::new_spanned(
            closure,
            format!("`{name}` is a closure over the {judged}, or over the {judged} and the number of the attempt: `|{judged}, attempt| ...`"),
        ));
    }
}

fn check_unlimited(attempts: Option<&Given<Attempts>>, max_elapsed: Option<&Given<Time>>, errors: &mut Errors) {
    if let (Some(Given { key, value: Attempts::Unlimited }), None) = (attempts, max_elapsed) {
        errors.push(Error::new_spanned(
            key,
            "`max_attempts = unlimited` would retry for ever: add a limit of time, such as `max_elapsed = 30s`",
        ));
    }
}
