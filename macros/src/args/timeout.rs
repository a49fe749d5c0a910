//! `#[timeout(...)]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Path};

use crate::{
    duration::Time,
    errors::Errors,
    options::{self, Options},
};

/// What a `#[timeout]` asks for.
pub(crate) struct Timeout {
    /// `None` if an error was reported.
    limit: Option<Time>,
    /// What it is called, instead of the path of the function.
    name: Option<Expr>,
    pub(crate) krate: Option<Path>,
}

const OPTIONS: [&str; 3] = ["name", "allow_order", "crate"];

const FIRST: &str = "the limit stands first, without a name: `timeout(2s)`";
const HINTS: [(&str, &str); 8] = [
    ("limit", FIRST),
    ("duration", FIRST),
    ("after", FIRST),
    ("timeout", FIRST),
    ("max_elapsed", FIRST),
    ("secs", FIRST),
    ("millis", FIRST),
    ("ms", FIRST),
];

impl Timeout {
    pub(crate) fn parse(values: Vec<Expr>, mut options: Options, attribute: Span, errors: &mut Errors) -> Self {
        let mut values = values.into_iter();
        let limit = values.next();
        let is_complete = options.is_complete() && !HINTS.iter().any(|(hint, _)| options.mentions(hint, &[]));
        let name = options.value("name", "name = \"charge\"", errors, super::name);
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);
        for second in values {
            errors.at(second, "a timeout has one limit: for one of each attempt and one of all, put one below `#[retry]` and one above");
        }
        if limit.is_none() && is_complete {
            errors.at_span(attribute, "a timeout needs a limit: `timeout(2s)`");
        }
        let limit = limit
            .and_then(|limit| errors.keep(super::positive("a timeout", "the call would end before it begins", limit)));
        Self { limit, name: name.map(|given| given.value), krate: krate.map(|given| given.value) }
    }

    /// The limit as a const expression.
    pub(crate) fn value(&self, krate: &TokenStream, function: &str) -> TokenStream {
        let name = super::name_or_path(self.name.as_ref(), function);
        let limit = self.limit.as_ref();
        quote!(#krate::Timeout::new(#limit).name(#name))
    }
}
