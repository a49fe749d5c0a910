//! The options of `#[timeout]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::{Expr, Path, spanned::Spanned};

use crate::{
    codegen::{context::Context, registry, spans::quote_mixed},
    errors::Errors,
    item::function::Function,
    syntax::{
        duration::DurationExpr,
        options::{Grammar, Options},
        values::{self, name_or_path},
    },
};

/// A `#[timeout]` attribute.
pub(crate) struct Timeout {
    /// The time limit. `None` if an error was reported.
    pub(super) limit: Option<DurationExpr>,
    /// The limit if it is not a constant: it is evaluated at each call.
    pub(super) run_time: Option<Expr>,
    /// The function that creates the error of a call that times out.
    pub(super) rejection: Option<Expr>,
    /// The name in errors and events, instead of the path of the function.
    name: Option<Expr>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"charge\""),
        ("rejection", "rejection = |timed_out| ..."),
        ("allow_order", "allow_order"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[
        ("limit", WITHOUT_NAME),
        ("duration", WITHOUT_NAME),
        ("after", WITHOUT_NAME),
        ("timeout", WITHOUT_NAME),
        ("max_elapsed", WITHOUT_NAME),
        ("secs", WITHOUT_NAME),
        ("seconds", WITHOUT_NAME),
        ("sec", WITHOUT_NAME),
        ("milliseconds", WITHOUT_NAME),
        ("max", WITHOUT_NAME),
        ("time", WITHOUT_NAME),
        ("deadline", WITHOUT_NAME),
        ("millis", WITHOUT_NAME),
        ("ms", WITHOUT_NAME),
    ],
};
const WITHOUT_NAME: &str = "write the limit first, without a name: `timeout(2s)`";

impl Timeout {
    pub(super) fn parse_options(
        values: Vec<Expr>,
        mut options: Options,
        attribute: Span,
        function: &Function,
        errors: &mut Errors,
    ) -> Self {
        let mut values = values.into_iter();
        let limit = values.next();
        let may_have_limit = options.has_hinted();
        let name = options.value("name", errors, values::name);
        let rejection = options.value("rejection", errors, |value| values::rejection("timed_out", value));
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);
        for second in values {
            errors.at(
                second,
                "a timeout has one limit: to limit each attempt and all of them together, put one `#[timeout]` below `#[retry]` and one above",
            );
        }
        if limit.is_none() && !may_have_limit {
            errors.at_span(attribute, "a timeout needs a limit: `timeout(2s)`");
        }
        let limit = limit.and_then(|limit| {
            errors.handle(DurationExpr::parse_positive("a timeout", "with 0 every call would time out at once", limit))
        });
        let run_time = match &limit {
            Some(DurationExpr::Expression(limit)) if !function.is_constant_duration(limit) => Some(limit.clone()),
            _ => None,
        };
        Self {
            limit,
            run_time,
            rejection: rejection.map(|given| given.value),
            name: name.map(|given| given.value),
            krate: krate.map(|given| given.value),
        }
    }

    /// The timeout as an expression of type `&Timeout`: `const { &Timeout::new(limit).name("...") }`. A limit that is not a constant is in a
    /// variable: `&run_time_limit(limit, "...")`.
    pub(super) fn reference(&self, context: &Context) -> TokenStream {
        let krate = &context.krate;
        let name = name_or_path(self.name.as_ref(), &context.function);
        if self.run_time.is_some() {
            return quote_mixed!(&#krate::__private::run_time_limit(limit, #name));
        }
        let limit = self.limit.as_ref();
        quote_mixed!(const { &#krate::Timeout::new(#limit).name(#name) })
    }

    /// The item that lists the timeout. A name that is not a literal may depend on type parameters, which an item cannot use: such a timeout is
    /// listed when it first ends a call.
    pub(super) fn listed(&self, context: &Context) -> TokenStream {
        if !matches!(self.name, None | Some(Expr::Lit(_))) {
            return TokenStream::new();
        }
        let limit = match &self.limit {
            Some(limit @ DurationExpr::Literal(..)) => Some(limit.to_token_stream()),
            _ => None,
        };
        registry::listed_timeout(&name_or_path(self.name.as_ref(), &context.function), limit, &context.krate)
    }

    /// The statement that evaluates a limit that is not a constant: `let limit: Duration = self.limit;`.
    pub(super) fn binding(&self) -> TokenStream {
        let Some(limit) = &self.run_time else { return TokenStream::new() };
        // A value of another type is reported at the expression.
        let span = Span::mixed_site().located_at(limit.span());
        quote_spanned!(span=> let limit: ::core::time::Duration = #limit;)
    }
}
