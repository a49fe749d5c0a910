//! `#[circuit_breaker(...)]`: rejects calls while the dependency is failing.

mod expand;
mod options;
mod settings;
mod window;

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::{Error, Path};

pub(crate) use self::options::CircuitBreaker;
use super::{Arguments, Attribute, Layer, Position, Reads, Requirements, Timeouts};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    item::uses::{mentions, used_by},
    syntax::{duration::text, instance::Instance, options::Grammar},
};

impl Attribute for CircuitBreaker {
    const NAME: &'static str = "circuit_breaker";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them: a call that the open circuit rejects returns an error or `None`\n\
                 or select the values that are failures, and make the value of a rejected call: `failure_if_result = |value| ..., rejection = |open| ...`",
        value_options: &["failure_if_result", "rejection"],
        is_async: None,
        timer: None,
    };

    fn parse(Arguments { options, attribute, function, .. }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(options, attribute, function, errors)
    }
}

impl Layer for CircuitBreaker {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn evaluated_after(&self) -> TokenStream {
        let [condition, instance] =
            [self.condition.expression(), self.instance.run_time()].map(|expr| expr.map(used_by));
        quote!(#condition #instance)
    }

    fn borrowed_during(&self) -> TokenStream {
        self.instance.borrowed().map(used_by).unwrap_or_default()
    }

    fn breaker(&self) -> Option<&Instance> {
        Some(&self.instance)
    }

    fn reads(&self) -> Reads {
        Reads::LimitRejections
    }

    /// Returns false if an option may ask for the number of the attempt: a function that is called in `key` or `breaker`, or `attempt()` itself in
    /// any other option.
    fn is_transparent(&self) -> bool {
        let evaluated_before = [self.key.as_ref(), self.instance.run_time()];
        let others = [self.condition.expression(), self.rejection.as_ref()];
        let attempt = Ident::new("attempt", Span::call_site());
        !evaluated_before.into_iter().flatten().any(|expression| has_call(expression.to_token_stream()))
            && !others.into_iter().flatten().any(|expression| mentions(expression.to_token_stream(), &attempt))
    }

    fn timeout_error(&self, timeouts: Timeouts) -> Option<Error> {
        if !timeouts.is_limited_above || timeouts.is_limited_below {
            return None;
        }
        // Settings that are declared elsewhere may contain the option.
        let hang_limits = &self.settings.as_ref()?.hang_limits;
        let Some((key, _)) = hang_limits.first() else {
            let example = timeouts.shortest_above.map_or_else(|| "2s".to_owned(), |limit| text(limit / 2));
            let message = format!(
                "a timeout above `#[circuit_breaker]` cancels calls that hang: the breaker counts no failures, and opens late or never\n\
                 add `hung_call = {example}`, or put a `#[timeout]` below the breaker, where a call that times out is a failure\n\
                 if this order is intended: `#[circuit_breaker(..., allow_order)]`"
            );
            return Some(Error::new(self.attribute, message));
        };
        let above = timeouts.shortest_above?;
        let is_too_long = hang_limits.iter().all(|(_, limit)| limit.is_some_and(|limit| limit > above));
        is_too_long.then(|| {
            let above = text(above);
            let message = format!(
                "`{key}` never applies: the timeout above the breaker cancels each call after {above}\n\
                 use a shorter time, or put a `#[timeout]` below the breaker\n\
                 if this order is intended: `#[circuit_breaker(..., allow_order)]`"
            );
            Error::new(key.span(), message)
        })
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}

/// Returns true if the tokens may contain a call: parentheses, or a macro.
fn has_call(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis || has_call(group.stream()),
        TokenTree::Punct(punct) => punct.as_char() == '!',
        _ => false,
    })
}
