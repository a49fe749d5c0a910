//! `#[fallback(...)]`: calls other functions after a failure.

mod alternatives;
mod expand;
mod options;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

use self::options::Alternative;
pub(crate) use self::options::Fallback;
use super::{Arguments, Attribute, Layer, Position, Reads, Requirements};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    item::uses::used_by,
    syntax::options::Grammar,
};

impl Attribute for Fallback {
    const NAME: &'static str = "fallback";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const TAKES_VALUES: bool = true;
    const REQUIREMENTS: Requirements =
        Requirements { output: "return one of them", value_options: &[], is_async: None, timer: None };

    fn parse(Arguments { values, options, attribute, function }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(values, options, attribute, &function.signature, errors)
    }
}

impl Layer for Fallback {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn forwards_arguments(&self) -> bool {
        self.gets_arguments()
    }

    fn reuse_error(&self) -> Option<&'static str> {
        Some(
            "a function with a fallback cannot return a borrow of a `&mut` argument: the fallback needs the argument as well\n\
             return an owned value, or put `#[fallback]` on a function that returns no borrow",
        )
    }

    fn evaluated_after(&self) -> TokenStream {
        let condition = self.condition.expression().map(used_by);
        let alternatives = self.alternatives.iter().map(Alternative::used);
        quote!(#condition #(#alternatives)*)
    }

    fn reads(&self) -> Reads {
        Reads::MadeValues
    }

    fn order_error(&self, above: &str) -> Option<&'static str> {
        match above {
            "retry" => Some(
                "a fallback below `#[retry]` leaves no failure to retry: it answers before the retry sees one\n\
                 put `#[fallback]` above `#[retry]`, where it answers after the last attempt has failed\n\
                 if this order is intended: `#[fallback(..., allow_order)]`",
            ),
            "circuit_breaker" => Some(
                "a fallback below `#[circuit_breaker]` hides every failure from it, so that the circuit never opens\n\
                 put `#[fallback]` above `#[circuit_breaker]`, where it also answers while the circuit is open\n\
                 if this order is intended: `#[fallback(..., allow_order)]`",
            ),
            _ => None,
        }
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}
