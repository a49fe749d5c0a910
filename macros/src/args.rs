//! What each attribute means: its options parsed and checked, ready to expand.

pub(crate) mod circuit_breaker;
mod parameters;
pub(crate) mod retry;
mod schedule;

use syn::{Error, Expr, Result, Type};

use crate::{
    errors::Errors,
    options::{Either, Options, word},
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
