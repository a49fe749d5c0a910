//! The options of `#[timeout]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Path};

use crate::{
    errors::Errors,
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
    /// The name in errors and events, instead of the path of the function.
    name: Option<Expr>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[("name", "name = \"charge\""), ("allow_order", "allow_order"), ("crate", "crate = ::steadfast")],
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
    pub(super) fn parse_options(values: Vec<Expr>, mut options: Options, attribute: Span, errors: &mut Errors) -> Self {
        let mut values = values.into_iter();
        let limit = values.next();
        let may_have_limit = options.has_hinted();
        let name = options.value("name", errors, values::name);
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
        Self { limit, name: name.map(|given| given.value), krate: krate.map(|given| given.value) }
    }

    /// The limit as a const expression: `Timeout::new(limit).name("...")`.
    pub(super) fn expression(&self, krate: &TokenStream, function: &str) -> TokenStream {
        let name = name_or_path(self.name.as_ref(), function);
        let limit = self.limit.as_ref();
        quote!(#krate::Timeout::new(#limit).name(#name))
    }
}
