//! `#[retry(...)]`: calls the function again after a failure.

mod expand;
mod options;
mod policy;
mod schedule;
mod validate;
mod values;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Path;

pub(crate) use self::options::Retry;
use super::{Arguments, Attribute, Layer, Position, Reads, Requirements};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    item::uses::used_by,
    syntax::options::Grammar,
};

impl Attribute for Retry {
    const NAME: &'static str = "retry";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them, or select the values to retry: `retry_if_result = |value| ...`",
        value_options: &["retry_if_result"],
        is_async: None,
        timer: Some("retrying an async function needs a timer: enable steadfast's feature `tokio`"),
    };

    fn parse(Arguments { options, function, .. }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(options, function, errors)
    }
}

impl Layer for Retry {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn repeats(&self) -> bool {
        !self.is_single()
    }

    fn scopes_attempts(&self) -> bool {
        self.repeats()
    }

    fn reuse_error(&self) -> Option<&'static str> {
        self.repeats().then_some(
            "a retry cannot return a borrow of a `&mut` argument: the next attempt needs the argument as well\n\
             return an owned value, or put `#[retry]` on a function that returns no borrow",
        )
    }

    fn clones(&self) -> &[Ident] {
        &self.clone
    }

    fn lends(&self) -> &[Ident] {
        &self.lend
    }

    fn evaluated_after(&self) -> TokenStream {
        let expressions = [self.condition.expression(), self.hook.as_ref(), self.stop_on.as_ref()];
        let [condition, hook, stop_on] = expressions.map(|expr| expr.map(used_by));
        quote!(#condition #hook #stop_on)
    }

    fn borrowed_during(&self) -> TokenStream {
        self.stop_on.as_ref().map(used_by).unwrap_or_default()
    }

    fn reads(&self) -> Reads {
        Reads::Everything
    }

    fn order_error(&self, above: &str) -> Option<&'static str> {
        (above == "retry" && self.repeats()).then_some(
            "two `#[retry]` on one function multiply their attempts: 3 attempts of 3 attempts each are 9 calls\n\
             combine their options in one `#[retry]`\n\
             if this is intended: `#[retry(..., allow_order)]`",
        )
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}
