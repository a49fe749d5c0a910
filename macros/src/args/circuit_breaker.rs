//! `#[circuit_breaker(...)]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, Path, Result};

use super::Condition;
use crate::{
    duration::Time,
    errors::Errors,
    options::{self, Count, Given, Options},
};

/// What a `#[circuit_breaker]` asks for.
pub(crate) struct CircuitBreaker {
    /// Where the attribute stands.
    pub(crate) place: Span,
    pub(crate) target: Target,
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

/// The settings, where at least one is given.
pub(crate) struct Settings(Vec<TokenStream>);

const OPTIONS: [&str; 7] =
    ["name", "breaker", "failure_threshold", "recovery_timeout", "half_open_max_calls", "failure_if", "crate"];

const OF_RETRY: &str = "it belongs to `#[retry]`";
const HINTS: [(&str, &str); 11] = [
    ("threshold", "did you mean `failure_threshold`?"),
    ("max_failures", "did you mean `failure_threshold`?"),
    ("timeout", "`recovery_timeout` is how long the circuit stays open"),
    ("reset_timeout", "did you mean `recovery_timeout`?"),
    ("success_threshold", "`half_open_max_calls` is also the number of successes that close the circuit"),
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
        let name = options.value("name", "name = \"payments\"", errors, name);
        let breaker = options.value("breaker", "breaker = PAYMENTS", errors, Ok);
        let threshold = options.value("failure_threshold", "failure_threshold = 5", errors, |value| {
            Count::parse("failure_threshold", "with 0 the circuit would open before any call", value)
        });
        let recovery = options.value("recovery_timeout", "recovery_timeout = 30s", errors, recovery_timeout);
        let trials = options.value("half_open_max_calls", "half_open_max_calls = 3", errors, |value| {
            at_most_255(Count::parse("half_open_max_calls", "with 0 the circuit could never close again", value)?)
        });
        let condition = Condition::take(&mut options, "failure_if", "failure_if(io::Error)", errors);
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);

        let keys = [key(threshold.as_ref()), key(recovery.as_ref()), key(trials.as_ref())];
        let settings: Vec<_> = [
            threshold.as_ref().map(|Given { value, .. }| quote!(.failure_threshold(#value))),
            recovery.as_ref().map(|Given { value, .. }| quote!(.recovery_timeout(#value))),
            trials.as_ref().map(|Given { value, .. }| quote!(.half_open_max_calls(#value))),
        ]
        .into_iter()
        .flatten()
        .collect();

        let target = match (name, breaker) {
            (Some(_), Some(breaker)) => {
                errors.at(breaker.key, "`breaker` and `name` both say which breaker it is: give one of them");
                Target::Missing
            }
            (None, Some(breaker)) => {
                for key in keys.into_iter().flatten() {
                    let message = format!(
                        "`{key}` is set where the static is declared: `CircuitBreaker::new(name, BreakerConfig::new().{key}(...))`"
                    );
                    errors.at(key, message);
                }
                Target::Static(breaker.value)
            }
            (Some(name), None) => {
                Target::Named { name: name.value, settings: (!settings.is_empty()).then_some(Settings(settings)) }
            }
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
            condition: condition.unwrap_or(Condition::ByType),
            krate: krate.map(|given| given.value),
        }
    }
}

impl Settings {
    /// The settings as a const expression.
    pub(crate) fn config(&self, krate: &TokenStream) -> TokenStream {
        let Self(settings) = self;
        quote!(#krate::BreakerConfig::new() #(#settings)*)
    }
}

fn key<T>(given: Option<&Given<T>>) -> Option<&proc_macro2::Ident> {
    given.map(|given| &given.key)
}

fn name(value: Expr) -> Result<Expr> {
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if name.value().trim().is_empty() => {
            Err(Error::new_spanned(value, "the name must not be empty: it is what the breaker is found and listed by"))
        }
        Expr::Path(path)
            if path.path.get_ident().is_some_and(|word| word.to_string().starts_with(char::is_lowercase)) =>
        {
            let word = path.path.require_ident()?;
            Err(Error::new_spanned(word, format!("a name stands in quotes: `name = \"{word}\"`")))
        }
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) | Expr::Path(_) | Expr::Macro(_) => Ok(value),
        _ => Err(Error::new_spanned(
            value,
            "`name` is a string literal, such as `name = \"payments\"`, or the path of a `const`",
        )),
    }
}

fn recovery_timeout(value: Expr) -> Result<Time> {
    let time = Time::parse(value)?;
    match &time {
        Time::Literal(duration, span) if duration.is_zero() => {
            Err(Error::new(*span, "`recovery_timeout` must be longer than zero: an open circuit has to rest"))
        }
        _ => Ok(time),
    }
}

fn at_most_255(count: Count) -> Result<Count> {
    match count {
        Count::Literal(256.., literal) => {
            Err(Error::new(literal.span(), "`half_open_max_calls` must be at most 255: more is load, not a trial"))
        }
        other => Ok(other),
    }
}
