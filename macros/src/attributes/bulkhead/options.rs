//! The options of `#[bulkhead]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Expr, Path};

use crate::{
    errors::Errors,
    item::function::Function,
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
    /// The key that selects one of the bulkheads with this name.
    pub(super) key: Option<Expr>,
    /// The maximum number of keys.
    pub(super) max_keys: Option<Count>,
    max_concurrent: Option<Given<Count>>,
    max_wait: Option<Given<DurationExpr>>,
    max_queue: Option<Given<Count>>,
    /// The number of permits that a call takes: an expression over the arguments.
    pub(super) permits: Option<Expr>,
    /// The function that creates the error of a rejected call.
    pub(super) rejection: Option<Expr>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"database\""),
        ("bulkhead", "bulkhead = DATABASE"),
        ("max_concurrent", "max_concurrent = 25"),
        ("max_wait", "max_wait = 100ms"),
        ("max_queue", "max_queue = 100"),
        ("key", "key = tenant"),
        ("max_keys", "max_keys = 1_000"),
        ("permits", "permits = batch.len()"),
        ("rejection", "rejection = |full| ..."),
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
        ("concurrency", MAX_CONCURRENT),
        ("wait", MAX_WAIT),
        ("timeout", MAX_WAIT),
        ("max_wait_duration", MAX_WAIT),
        ("queue_timeout", MAX_WAIT),
        ("queue", MAX_QUEUE),
        ("queue_size", MAX_QUEUE),
        ("queue_length", MAX_QUEUE),
        ("max_waiting", MAX_QUEUE),
        ("weight", PERMITS),
        ("cost", PERMITS),
    ],
};
const MAX_QUEUE: &str = "`max_queue` is the maximum number of waiting calls";
const PERMITS: &str = "`permits` is the number of permits that a call takes at once";
const MAX_CONCURRENT: &str = "`max_concurrent` is the maximum number of concurrent calls";
const MAX_WAIT: &str = "`max_wait` is the longest time that a call waits for a permit";

const TERMS: Terms = Terms { option: "bulkhead", name: "database", noun: "bulkhead", types: ["Bulkhead", "Bulkhead"] };

impl Bulkhead {
    pub(super) fn parse_options(
        mut options: Options,
        attribute: Span,
        function: &Function,
        errors: &mut Errors,
    ) -> Self {
        let advice =
            "for settings that are known at run time, create the bulkhead with them: `bulkhead = self.bulkhead`";
        options.refuse_run_time(&["max_concurrent", "max_wait", "max_queue", "max_keys"], function, advice, errors);
        let max_concurrent = options.value("max_concurrent", errors, |value| {
            Count::parse("max_concurrent", "with 0 no call could be made", value)
        });
        let max_wait = options.value("max_wait", errors, |value| {
            DurationExpr::parse_positive("`max_wait`", "to reject calls without waiting, omit it", value)
        });
        let may_have_max_wait = options.may_have("max_wait") || max_wait.is_some();
        let max_queue = options.value("max_queue", errors, |value| {
            Count::parse("max_queue", "to reject calls without waiting, omit `max_wait`", value)
        });
        let key = options.value("key", errors, Ok);
        let max_keys = options.value("max_keys", errors, |value| {
            Count::parse("max_keys", "with 0, all keys would share one bulkhead", value)
        });
        let permits = options.value("permits", errors, values::permits);
        let instance = Instance::take(&mut options, &TERMS, attribute, function, errors);
        let settings = [
            max_concurrent.as_ref().map(|given| &given.key),
            max_wait.as_ref().map(|given| &given.key),
            max_queue.as_ref().map(|given| &given.key),
            max_keys.as_ref().map(|given| &given.key),
        ];
        let ty = if key.is_some() { "KeyedBulkheads" } else { "Bulkhead" };
        let example = |option: &Ident| match option.to_string().as_str() {
            "max_keys" => format!("{ty}::new(name, config).max_keys(...)"),
            "max_concurrent" => format!("{ty}::new(name, BulkheadConfig::new().max_concurrent(25))"),
            _ => format!("{ty}::new(name, BulkheadConfig::new().{option}(...))"),
        };
        instance.check_settings(settings.into_iter().flatten().next(), example, errors);
        let rejection = options.value("rejection", errors, |value| values::rejection("full", value));
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);

        if let (Some(max_wait), true, false) = (&max_wait, function.is_async(), cfg!(feature = "tokio")) {
            errors.at(&max_wait.key, "waiting in an async function needs a timer: enable steadfast's feature `tokio`");
        }
        if let (Some(max_keys), None) = (&max_keys, &key) {
            errors.at(&max_keys.key, "`max_keys` needs a `key`, such as `key = tenant` for one bulkhead per tenant");
        }
        if let (Some(key), false) = (&key, cfg!(feature = "keyed")) {
            errors.at(&key.key, "a bulkhead per key needs steadfast's feature `keyed`");
        }
        if let (Some(max_queue), false, Instance::Named(_)) = (&max_queue, may_have_max_wait, &instance) {
            errors.at(
                &max_queue.key,
                "`max_queue` needs a `max_wait`, such as `max_wait = 100ms`: without it no call waits",
            );
        }
        if let (Some(permits), Some(max_concurrent)) = (&permits, &max_concurrent) {
            values::check_permits(&permits.value, "max_concurrent", max_concurrent.value.known(), errors);
        }
        Self {
            attribute,
            instance,
            key: key.map(|given| given.value),
            max_keys: max_keys.map(|given| given.value),
            max_concurrent,
            max_wait,
            max_queue,
            permits: permits.map(|given| given.value),
            rejection: rejection.map(|given| given.value),
            krate: krate.map(|given| given.value),
        }
    }

    /// The settings as a const expression: `BulkheadConfig::new().max_concurrent(25)`. `None` if they are declared elsewhere.
    pub(super) fn config(&self, krate: &TokenStream) -> Option<TokenStream> {
        let max_concurrent = self.max_concurrent.as_ref().map(|Given { value, .. }| quote!(.max_concurrent(#value)));
        let max_wait = self.max_wait.as_ref().map(|Given { value, .. }| quote!(.max_wait(#value)));
        let max_queue = self.max_queue.as_ref().map(|Given { value, .. }| quote!(.max_queue(#value)));
        let is_given = max_concurrent.is_some() || max_wait.is_some() || max_queue.is_some();
        is_given.then(|| quote!(#krate::BulkheadConfig::new() #max_concurrent #max_wait #max_queue))
    }
}
