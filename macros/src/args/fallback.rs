//! `#[fallback(...)]`

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, Expr, ExprClosure, ExprField, ExprPath, Member, Path, Result, Signature};

use super::Condition;
use crate::{
    arguments,
    errors::Errors,
    options::{self, Options},
};

/// What a `#[fallback]` asks for.
pub(crate) struct Fallback {
    /// What is called in turn.
    pub(crate) steps: Vec<Step>,
    pub(crate) condition: Condition,
    pub(crate) krate: Option<Path>,
}

/// One thing to call instead.
pub(crate) enum Step {
    /// `cached`, with the arguments of the function.
    Function(ExprPath),
    /// `self.cached`, with the arguments of the function.
    Method(ExprField),
    /// `|error| ...`, which sees them.
    Closure(ExprClosure),
    /// `|order, error| ...`, which gets them.
    ClosureOfAll(ExprClosure),
}

const OPTIONS: [&str; 3] = ["if", "allow_order", "crate"];

const CONDITION: &str = "write `if = |error| ...` or `if(io::Error)`";
const FIRST: &str = "functions stand first, without a name: `fallback(cached, defaults)`";
const HINTS: [(&str, &str); 9] = [
    ("when", CONDITION),
    ("fallback_if", CONDITION),
    ("retry_if", CONDITION),
    ("failure_if", CONDITION),
    ("function", FIRST),
    ("fallback", FIRST),
    ("to", FIRST),
    ("with", FIRST),
    ("value", "a closure gives a value: `fallback(|_| Ok(1))`"),
];

impl Fallback {
    pub(crate) fn parse(
        values: Vec<Expr>,
        mut options: Options,
        attribute: Span,
        signature: &Signature,
        errors: &mut Errors,
    ) -> Self {
        let is_complete = options.is_complete() && !HINTS.iter().any(|(hint, _)| options.mentions(hint, &[]));
        if values.is_empty() && is_complete {
            errors.at_span(attribute, "a fallback needs something to call: `fallback(cached)`");
        }
        let arguments = arguments::typed(signature).count();
        let steps: Vec<_> = values.into_iter().filter_map(|value| errors.keep(step(value, arguments))).collect();
        if steps.iter().any(Step::gets_arguments) {
            arguments::check_names(signature, errors);
        }
        let condition = Condition::take(&mut options, "if", "if(io::Error)", errors);
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);
        Self { steps, condition: condition.unwrap_or(Condition::ByType), krate: krate.map(|given| given.value) }
    }

    /// Whether any of its steps is called with the arguments of the function.
    pub(crate) fn gets_arguments(&self) -> bool {
        self.steps.iter().any(Step::gets_arguments)
    }
}

impl Step {
    /// Whether it is called with the arguments of the function, or else only sees them.
    pub(crate) const fn gets_arguments(&self) -> bool {
        !matches!(self, Self::Closure(_))
    }

    pub(crate) const fn is_closure(&self) -> bool {
        matches!(self, Self::Closure(_) | Self::ClosureOfAll(_))
    }

    /// What events call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Function(path) => path.to_token_stream().to_string().replace(' ', ""),
            Self::Method(method) => method.to_token_stream().to_string().replace(' ', ""),
            Self::Closure(_) | Self::ClosureOfAll(_) => "a closure".to_owned(),
        }
    }
}

impl ToTokens for Step {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(path) => path.to_tokens(tokens),
            Self::Method(method) => method.to_tokens(tokens),
            Self::Closure(closure) | Self::ClosureOfAll(closure) => closure.to_tokens(tokens),
        }
    }
}

fn step(value: Expr, arguments: usize) -> Result<Step> {
    match value {
        Expr::Path(path) => Ok(Step::Function(path)),
        Expr::Field(field) if matches!(field.member, Member::Named(_)) => Ok(Step::Method(field)),
        Expr::Closure(closure) => match closure.inputs.len() {
            0 | 1 => Ok(Step::Closure(closure)),
            all if all == arguments + 1 => Ok(Step::ClosureOfAll(closure)),
            _ => Err(Error::new_spanned(
                closure.inputs,
                "a closure takes the error alone, `|error| ...`, or all arguments of the function and then the error",
            )),
        },
        Expr::Call(_) | Expr::MethodCall(_) => Err(Error::new_spanned(
            value,
            "give the function itself, and it gets the arguments of this one: `fallback(cached)`\n\
             to call it with others, write a closure: `fallback(|_| cached(1))`",
        )),
        _ => Err(Error::new_spanned(
            value,
            "a fallback is a function, a method such as `self.cached`, or a closure over the error",
        )),
    }
}
