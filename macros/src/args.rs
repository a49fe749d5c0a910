//! What each attribute means: its options parsed and checked, ready to expand.

pub(crate) mod bulkhead;
pub(crate) mod circuit_breaker;
pub(crate) mod fallback;
pub(crate) mod owner;
mod parameters;
pub(crate) mod rate_limit;
pub(crate) mod retry;
mod schedule;
pub(crate) mod timeout;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, Result, Type};

use crate::{
    duration::Time,
    errors::Errors,
    options::{Either, Options, word},
    text,
};

/// Which outcomes a layer acts on.
pub(crate) enum Condition {
    /// What the type says by itself.
    ByType,
    /// `any`
    Any,
    /// Error types, in the chain of sources.
    Types(Vec<Type>),
    /// A predicate over the error.
    Error(Expr),
    /// A predicate over the whole value.
    Value(Expr),
}

/// The name that something goes by, for the registry.
fn name(value: Expr) -> Result<Expr> {
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if name.value().trim().is_empty() => {
            Err(Error::new_spanned(value, "the name must not be empty: listings and settings go by it"))
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

/// The name that was given, or the path of the function.
pub(crate) fn name_or_path(name: Option<&Expr>, function: &str) -> TokenStream {
    let function = format!("::{function}");
    name.map_or_else(|| quote!(::core::concat!(::core::module_path!(), #function)), |name| quote!(#name))
}

/// A duration that is not zero.
fn positive(what: &str, why_not_zero: &str, value: Expr) -> Result<Time> {
    let time = Time::parse(value.clone())?;
    match time.known() {
        Some(known) if known.is_zero() => {
            Err(Error::new_spanned(value, format!("{what} must be longer than 0: {why_not_zero}")))
        }
        _ => Ok(time),
    }
}

fn is_any(value: &Expr) -> bool {
    word(value).is_some_and(|name| name == "any")
}

impl Condition {
    /// Takes `name = predicate`, `name = any` or `name(Type, ...)`.
    fn take(options: &mut Options, name: &str, example: &str, errors: &mut Errors) -> Option<Self> {
        let condition = match options.take(name)?.expression_or_types(example) {
            Ok(Either::Types(types)) => Self::of_types(name, types),
            Ok(Either::Expression(value)) if is_any(&value) => Ok(Self::Any),
            Ok(Either::Expression(value)) => Self::predicate(name, value).map(Self::Error),
            Err(error) => Err(error),
        };
        errors.keep(condition)
    }

    /// What was written, with the types in an order of their own; `None` where it leaves out no error. Two functions judge alike if it
    /// is the same, as far as an attribute can see.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::ByType | Self::Any => None,
            Self::Types(types) => {
                let mut types: Vec<_> = types.iter().map(text::of).collect();
                types.sort_unstable();
                types.dedup();
                Some(format!("failure_if({})", types.join(", ")))
            }
            Self::Error(predicate) | Self::Value(predicate) => Some(format!("failure_if = {}", text::of(predicate))),
        }
    }

    fn of_types(name: &str, types: Vec<Type>) -> Result<Self> {
        let any = types.iter().find(|ty| matches!(ty, Type::Path(path) if path.path.is_ident("any")));
        match any {
            Some(any) => Err(Error::new_spanned(any, format!("for every error, write `{name} = any`"))),
            None => Ok(Self::Types(types)),
        }
    }

    /// Refuses what is plainly no predicate.
    fn predicate(name: &str, value: Expr) -> Result<Expr> {
        match value {
            Expr::Lit(_) => {
                Err(Error::new_spanned(value, format!("`{name}` is a predicate: a closure, or the path of a function")))
            }
            value if is_any(&value) => {
                Err(Error::new_spanned(value, format!("`{name}` is a predicate over the value; `any` is for errors")))
            }
            value => Ok(value),
        }
    }
}
