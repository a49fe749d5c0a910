//! The options of `#[fallback]`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, Expr, ExprClosure, ExprField, ExprPath, Member, Path, Result, Signature};

use crate::{
    errors::Errors,
    item::{arguments, inputs, uses::used_by},
    syntax::{
        condition::Condition,
        options::{Grammar, Options},
        values,
    },
};

/// A `#[fallback]` attribute.
pub(crate) struct Fallback {
    /// The alternatives, in the order in which they are called.
    pub(super) alternatives: Vec<Alternative>,
    pub(super) condition: Condition,
    pub(super) krate: Option<Path>,
}

/// A function or closure that is called after a failure.
pub(super) enum Alternative {
    /// `cached`: called with the arguments of the function.
    Function(ExprPath),
    /// `self.cached`: called with the arguments of the function.
    Method(ExprField),
    /// `|error| ...`: called with the error. It can borrow the arguments of the function.
    ErrorClosure(ExprClosure),
    /// `|order, error| ...`: called with the arguments of the function and the error.
    FullClosure(ExprClosure),
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[("if", "if(io::Error)"), ("allow_order", "allow_order"), ("crate", "crate = ::steadfast")],
    hints: &[
        ("when", CONDITION),
        ("fallback_if", CONDITION),
        ("retry_if", CONDITION),
        ("failure_if", CONDITION),
        ("function", WITHOUT_NAME),
        ("fallback", WITHOUT_NAME),
        ("to", WITHOUT_NAME),
        ("with", WITHOUT_NAME),
        ("value", "write a closure that returns the value: `fallback(|_| Ok(1))`"),
    ],
};
const CONDITION: &str = "write `if = |error| ...` or `if(io::Error)`";
const WITHOUT_NAME: &str = "write the functions first, without a name: `fallback(cached, defaults)`";

impl Fallback {
    pub(super) fn parse_options(
        values: Vec<Expr>,
        mut options: Options,
        attribute: Span,
        signature: &Signature,
        errors: &mut Errors,
    ) -> Self {
        if values.is_empty() && !options.has_hinted() {
            errors.at_span(attribute, "a fallback needs a function to call: `fallback(cached)`");
        }
        let count = arguments::typed(signature).count();
        let alternatives: Vec<_> =
            values.into_iter().filter_map(|value| errors.handle(Alternative::parse(value, count))).collect();
        if alternatives.iter().any(Alternative::gets_arguments) {
            inputs::check_names(signature, errors);
        }
        let condition = Condition::take(&mut options, "if", errors);
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);
        Self { alternatives, condition: condition.unwrap_or(Condition::Default), krate: krate.map(|given| given.value) }
    }

    /// Returns true if an alternative is called with the arguments of the function.
    pub(super) fn gets_arguments(&self) -> bool {
        self.alternatives.iter().any(Alternative::gets_arguments)
    }
}

impl Alternative {
    /// `arguments` is the number of arguments of the function.
    fn parse(value: Expr, arguments: usize) -> Result<Self> {
        match value {
            Expr::Path(path) => Ok(Self::Function(path)),
            Expr::Field(field) if matches!(field.member, Member::Named(_)) => Ok(Self::Method(field)),
            Expr::Closure(closure) => match closure.inputs.len() {
                0 | 1 => Ok(Self::ErrorClosure(closure)),
                all if all == arguments + 1 => Ok(Self::FullClosure(closure)),
                _ => Err(Error::new_spanned(
                    closure.inputs,
                    "a closure must take the error alone, `|error| ...`, or all arguments of the function and then the error",
                )),
            },
            Expr::Call(_) | Expr::MethodCall(_) => Err(Error::new_spanned(
                value,
                "write the function without calling it, as in `fallback(cached)`: it is called with the arguments of this function\n\
                 to call it with other arguments, write a closure: `fallback(|_| cached(1))`",
            )),
            _ => Err(Error::new_spanned(
                value,
                "a fallback must be a function, a method such as `self.cached`, or a closure over the error",
            )),
        }
    }

    /// Returns true if the alternative is called with the arguments of the function.
    pub(super) const fn gets_arguments(&self) -> bool {
        !matches!(self, Self::ErrorClosure(_))
    }

    pub(super) const fn is_closure(&self) -> bool {
        matches!(self, Self::ErrorClosure(_) | Self::FullClosure(_))
    }

    /// The tokens that may name arguments of the function. A closure over all arguments gets them as parameters.
    pub(super) fn used(&self) -> TokenStream {
        match self {
            Self::ErrorClosure(closure) | Self::FullClosure(closure) => used_by(&Expr::Closure(closure.clone())),
            Self::Function(path) => used_by(&Expr::Path(path.clone())),
            Self::Method(method) => used_by(&Expr::Field(method.clone())),
        }
    }

    /// The name of the alternative in events.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Function(path) => path.to_token_stream().to_string().replace(' ', ""),
            Self::Method(method) => method.to_token_stream().to_string().replace(' ', ""),
            Self::ErrorClosure(_) | Self::FullClosure(_) => "a closure".to_owned(),
        }
    }
}

impl ToTokens for Alternative {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(path) => path.to_tokens(tokens),
            Self::Method(method) => method.to_tokens(tokens),
            Self::ErrorClosure(closure) | Self::FullClosure(closure) => closure.to_tokens(tokens),
        }
    }
}
