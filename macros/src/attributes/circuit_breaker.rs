//! `#[circuit_breaker(...)]`: rejects calls while the dependency is failing.

mod expand;
mod options;
mod settings;
mod window;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Path;

pub(crate) use self::options::CircuitBreaker;
use super::{Arguments, Attribute, Layer, Position, Reads, Requirements};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    syntax::options::Grammar,
};

impl Attribute for CircuitBreaker {
    const NAME: &'static str = "circuit_breaker";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them: a call that the open circuit rejects returns an error or `None`",
        value_predicate: None,
        is_async: None,
        timer: None,
    };

    fn parse(Arguments { options, attribute, .. }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(options, attribute, errors)
    }
}

impl Layer for CircuitBreaker {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn evaluated_after(&self) -> TokenStream {
        self.condition.expression().to_token_stream()
    }

    fn reads(&self) -> Reads {
        Reads::LimitRejections
    }

    fn is_transparent(&self) -> bool {
        true
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}
