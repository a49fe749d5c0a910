//! The options of `#[bulkhead]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Path;

use crate::{
    errors::Errors,
    syntax::{
        duration::DurationExpr,
        instance::{Instance, Terms},
        options::{Given, Grammar, Options},
        values::{self, Count},
    },
};

/// A `#[bulkhead]` attribute.
pub(crate) struct Bulkhead {
    /// The span of the attribute.
    pub(super) attribute: Span,
    pub(super) instance: Instance,
    max_concurrent: Option<Given<Count>>,
    max_wait: Option<Given<DurationExpr>>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"database\""),
        ("bulkhead", "bulkhead = DATABASE"),
        ("max_concurrent", "max_concurrent = 25"),
        ("max_wait", "max_wait = 100ms"),
        ("allow_order", "allow_order"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[
        ("max_concurrent_calls", MAX_CONCURRENT),
        ("max_calls", MAX_CONCURRENT),
        ("max_parallel", MAX_CONCURRENT),
        ("max_parallelism", MAX_CONCURRENT),
        ("max_in_flight", MAX_CONCURRENT),
        ("max_concurrency", MAX_CONCURRENT),
        ("concurrency_limit", MAX_CONCURRENT),
        ("concurrent", MAX_CONCURRENT),
        ("size", MAX_CONCURRENT),
        ("max_permits", MAX_CONCURRENT),
        ("capacity", MAX_CONCURRENT),
        ("limit", MAX_CONCURRENT),
        ("permits", MAX_CONCURRENT),
        ("concurrency", MAX_CONCURRENT),
        ("wait", MAX_WAIT),
        ("timeout", MAX_WAIT),
        ("max_wait_duration", MAX_WAIT),
        ("queue_timeout", MAX_WAIT),
        ("key", "a bulkhead with a name is shared by all keys"),
    ],
};
const MAX_CONCURRENT: &str = "`max_concurrent` is the maximum number of concurrent calls";
const MAX_WAIT: &str = "`max_wait` is the longest time that a call waits for a permit";

const TERMS: Terms = Terms { option: "bulkhead", name: "database", noun: "bulkhead" };

impl Bulkhead {
    pub(super) fn parse_options(mut options: Options, attribute: Span, is_async: bool, errors: &mut Errors) -> Self {
        let max_concurrent = options.value("max_concurrent", errors, |value| {
            Count::parse("max_concurrent", "with 0 no call could be made", value)
        });
        let max_wait = options.value("max_wait", errors, |value| {
            DurationExpr::parse_positive("`max_wait`", "to reject calls without waiting, omit it", value)
        });
        let instance = Instance::take(&mut options, &TERMS, attribute, errors);
        let first = max_concurrent.as_ref().map(|given| &given.key).or(max_wait.as_ref().map(|given| &given.key));
        let example = "Bulkhead::new(name, BulkheadConfig::new().max_concurrent(25))";
        instance.check_settings(first, |_| example.to_owned(), errors);
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);

        if let (Some(max_wait), true, false) = (&max_wait, is_async, cfg!(feature = "tokio")) {
            errors.at(&max_wait.key, "waiting in an async function needs a timer: enable steadfast's feature `tokio`");
        }
        Self { attribute, instance, max_concurrent, max_wait, krate: krate.map(|given| given.value) }
    }

    /// The settings as a const expression: `BulkheadConfig::new().max_concurrent(25)`. `None` if they are declared elsewhere.
    pub(super) fn config(&self, krate: &TokenStream) -> Option<TokenStream> {
        let max_concurrent = self.max_concurrent.as_ref().map(|Given { value, .. }| quote!(.max_concurrent(#value)));
        let max_wait = self.max_wait.as_ref().map(|Given { value, .. }| quote!(.max_wait(#value)));
        let is_given = max_concurrent.is_some() || max_wait.is_some();
        is_given.then(|| quote!(#krate::BulkheadConfig::new() #max_concurrent #max_wait))
    }
}
