//! The condition of a layer, which selects the outcomes that the layer acts on.

use syn::{Error, Expr, Result, Type};

use super::{options::Options, values::single_ident, written::ExprOrTypes};
use crate::errors::Errors;

/// The outcomes that a layer acts on.
pub(crate) enum Condition {
    /// The default, which depends on the attribute and on the type of the error.
    Default,
    /// `any`: every error.
    Any,
    /// Errors of these types, or with one of them in their chain of sources.
    Types(Vec<Type>),
    /// A predicate over the error.
    Error(Expr),
    /// A predicate over the whole returned value.
    Value(Expr),
}

impl Condition {
    /// Takes `name = predicate`, `name = any` or `name(Type, ...)`.
    pub(crate) fn take(options: &mut Options, name: &str, errors: &mut Errors) -> Option<Self> {
        let condition = match options.take(name)?.expression_or_types() {
            Ok(ExprOrTypes::Types(types)) => Self::from_types(name, types),
            Ok(ExprOrTypes::Expression(value)) if is_any(&value) => Ok(Self::Any),
            Ok(ExprOrTypes::Expression(value)) => Self::predicate(name, value).map(Self::Error),
            Err(error) => Err(error),
        };
        errors.handle(condition)
    }

    fn from_types(name: &str, types: Vec<Type>) -> Result<Self> {
        let any = types.iter().find(|ty| matches!(ty, Type::Path(path) if path.path.is_ident("any")));
        match any {
            Some(any) => Err(Error::new_spanned(any, format!("to match every error, write `{name} = any`"))),
            None => Ok(Self::Types(types)),
        }
    }

    /// Returns the value of option `name` unless it cannot be a predicate.
    pub(crate) fn predicate(name: &str, value: Expr) -> Result<Expr> {
        match value {
            Expr::Lit(_) => Err(Error::new_spanned(
                value,
                format!("`{name}` must be a predicate: a closure, or the path of a function"),
            )),
            value if is_any(&value) => Err(Error::new_spanned(
                value,
                format!("`{name}` must be a predicate over the returned value; `any` stands for every error"),
            )),
            value => Ok(value),
        }
    }

    /// The predicate, if the condition is one.
    pub(crate) const fn expression(&self) -> Option<&Expr> {
        match self {
            Self::Error(predicate) | Self::Value(predicate) => Some(predicate),
            Self::Default | Self::Any | Self::Types(_) => None,
        }
    }

    /// The types; empty if the condition is not a list of types.
    pub(crate) fn types(&self) -> &[Type] {
        match self {
            Self::Types(types) => types,
            _ => &[],
        }
    }
}

fn is_any(value: &Expr) -> bool {
    single_ident(value).is_some_and(|name| name == "any")
}
