//! `#[bulkhead(...)]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Path;

use super::owner::{Owner, Words};
use crate::{
    duration::Time,
    errors::Errors,
    options::{self, Count, Given, Options},
};

/// What a `#[bulkhead]` asks for.
pub(crate) struct Bulkhead {
    /// Where the attribute stands.
    pub(crate) place: Span,
    pub(crate) owner: Owner,
    max_concurrent: Option<Given<Count>>,
    max_wait: Option<Given<Time>>,
    pub(crate) krate: Option<Path>,
}

const OPTIONS: [&str; 6] = ["name", "bulkhead", "max_concurrent", "max_wait", "allow_order", "crate"];

const PLACES: &str = "`max_concurrent` is how many calls there may be at once";
const WAIT: &str = "`max_wait` is how long a call waits for a place";
const HINTS: [(&str, &str); 10] = [
    ("max_concurrent_calls", PLACES),
    ("max_calls", PLACES),
    ("limit", PLACES),
    ("permits", PLACES),
    ("concurrency", PLACES),
    ("wait", WAIT),
    ("timeout", WAIT),
    ("max_wait_duration", WAIT),
    ("queue_timeout", WAIT),
    ("key", "there is one bulkhead for a name, for all keys together"),
];

const WORDS: Words = Words {
    option: "bulkhead",
    example: "DATABASE",
    name: "database",
    what: "a bulkhead",
    constructor: "Bulkhead::new(name, BulkheadConfig::new().max_concurrent(25))",
};

impl Bulkhead {
    pub(crate) fn parse(mut options: Options, attribute: Span, is_async: bool, errors: &mut Errors) -> Self {
        let max_concurrent = options.value("max_concurrent", "max_concurrent = 25", errors, |value| {
            Count::parse("max_concurrent", "with 0 no call could ever be made", value)
        });
        let max_wait = options.value("max_wait", "max_wait = 100ms", errors, |value| {
            super::positive("`max_wait`", "leave it out, and no call waits", value)
        });
        let keys = [max_concurrent.as_ref().map(|given| &given.key), max_wait.as_ref().map(|given| &given.key)];
        let keys: Vec<_> = keys.into_iter().flatten().cloned().collect();
        let owner = Owner::take(&mut options, &WORDS, &OPTIONS, &keys, attribute, errors);
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);

        if let (Some(max_wait), true, false) = (&max_wait, is_async, cfg!(feature = "tokio")) {
            errors.at(&max_wait.key, "waiting in an async function needs a timer: enable steadfast's feature `tokio`");
        }
        Self { place: attribute, owner, max_concurrent, max_wait, krate: krate.map(|given| given.value) }
    }

    /// The settings as a const expression, if any are given.
    pub(crate) fn config(&self, krate: &TokenStream) -> Option<TokenStream> {
        let max_concurrent = self.max_concurrent.as_ref().map(|Given { value, .. }| quote!(.max_concurrent(#value)));
        let max_wait = self.max_wait.as_ref().map(|Given { value, .. }| quote!(.max_wait(#value)));
        let is_given = max_concurrent.is_some() || max_wait.is_some();
        is_given.then(|| quote!(#krate::BulkheadConfig::new() #max_concurrent #max_wait))
    }
}
