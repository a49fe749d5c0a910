//! What each attribute means: its options parsed and checked, ready to expand.

pub(crate) mod circuit_breaker;
pub(crate) mod retry;
mod schedule;

use syn::{Expr, Type};

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

impl Condition {
    /// Takes `name = predicate`, `name = any` or `name(Type, ...)`.
    fn take(options: &mut Options, name: &str, example: &str, errors: &mut Errors) -> Option<Self> {
        let either = errors.keep(options.take(name)?.expression_or_types(example))?;
        Some(match either {
            Either::Types(types) => Self::Types(types),
            Either::Expression(value) if word(&value).is_some_and(|name| name == "any") => Self::Any,
            Either::Expression(value) => Self::Error(value),
        })
    }
}
