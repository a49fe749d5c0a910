//! The options of `#[rate_limit]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Expr, Path, Result, spanned::Spanned};

use crate::{
    errors::Errors,
    item::function::Function,
    syntax::{
        duration::DurationExpr,
        instance::{Instance, Terms},
        options::{Given, Grammar, Options},
        parameters::Parameters,
        values::{self, Count},
    },
};

/// A `#[rate_limit]` attribute.
pub(crate) struct RateLimit {
    /// The span of the attribute.
    pub(super) attribute: Span,
    pub(super) instance: Instance,
    /// The key that selects one of the limits with this name.
    pub(super) key: Option<Expr>,
    /// The maximum number of keys.
    pub(super) max_keys: Option<Count>,
    limit: Option<Count>,
    per: Option<DurationExpr>,
    max_wait: Option<DurationExpr>,
    /// The variant of `Algorithm`.
    algorithm: Option<Ident>,
    burst: Option<Count>,
    store: Option<Expr>,
    /// The number of permits that a call takes: an expression over the arguments.
    pub(super) permits: Option<Expr>,
    /// The function that creates the error of a rejected call.
    pub(super) rejection: Option<Expr>,
    pub(super) krate: Option<Path>,
}

pub(super) const GRAMMAR: Grammar = Grammar {
    options: &[
        ("name", "name = \"search\""),
        ("rate_limit", "rate_limit = SEARCH"),
        ("limit", "limit = 100"),
        ("per", "per = 60s"),
        ("max_wait", "max_wait = 1s"),
        ("key", "key = user"),
        ("max_keys", "max_keys = 1_000"),
        ("algorithm", "algorithm = gcra"),
        ("burst", "burst = 20"),
        ("permits", "permits = batch.len()"),
        ("store", "store = STORE"),
        ("rejection", "rejection = |limited| ..."),
        ("allow_order", "allow_order"),
        ("crate", "crate = ::steadfast"),
    ],
    hints: &[
        ("max_calls", LIMIT),
        ("requests", LIMIT),
        ("max_requests", LIMIT),
        ("rps", LIMIT),
        ("quota", LIMIT),
        ("num", LIMIT),
        ("count", LIMIT),
        ("capacity", LIMIT),
        ("tokens", LIMIT),
        ("refill", LIMIT),
        ("refill_rate", LIMIT),
        ("permits_per_second", LIMIT),
        ("limit_for_period", LIMIT),
        ("limit_refresh_period", LIMIT),
        ("per_hour", LIMIT),
        ("every", LIMIT),
        ("duration", LIMIT),
        ("calls", LIMIT),
        ("rate", LIMIT),
        ("per_second", LIMIT),
        ("per_minute", LIMIT),
        ("window", LIMIT),
        ("period", LIMIT),
        ("interval", LIMIT),
        ("timeout", MAX_WAIT),
        ("timeout_duration", MAX_WAIT),
        ("max_delay", MAX_WAIT),
        ("queue_timeout", MAX_WAIT),
        ("wait", MAX_WAIT),
        ("backend", "did you mean `store`?"),
        ("max_burst", BURST),
        ("burst_size", BURST),
        ("weight", PERMITS),
        ("cost", PERMITS),
        ("tokens", PERMITS),
    ],
};
const LIMIT: &str = "write `limit = 100, per = 60s`";
const BURST: &str = "`burst` is the number of calls that `algorithm = gcra` admits at once";
const PERMITS: &str = "`permits` is the number of permits that a call takes at once";
const MAX_WAIT: &str = "`max_wait` is the longest time that a call waits for capacity";

const TERMS: Terms =
    Terms { option: "rate_limit", name: "search", noun: "rate limit", types: ["RateLimit", "KeyedRateLimits"] };

/// The largest limit and burst. The runtime has the same maximum.
const MAX_LIMIT: u32 = 1_048_576;

impl RateLimit {
    pub(super) fn parse_options(
        mut options: Options,
        attribute: Span,
        function: &Function,
        errors: &mut Errors,
    ) -> Self {
        let advice = "for settings that are known at run time, create the limit with them: `rate_limit = self.limit`";
        options.refuse_run_time(&["limit", "per", "max_wait", "max_keys", "burst"], function, advice, errors);
        let is_async = function.is_async();
        // A limit that is written with an option of another library is reported as an unknown option, not also as missing.
        let is_misnamed = GRAMMAR.hints.iter().any(|(other, hint)| *hint == LIMIT && options.has(other));
        let [may_have_limit, may_have_per] = ["limit", "per"].map(|name| is_misnamed || options.may_have(name));
        let limit = options.value("limit", errors, |value| at_most_max("limit", value));
        let per = options
            .value("per", errors, |value| DurationExpr::parse_positive("`per`", "the window needs a length", value));
        let max_wait = options.value("max_wait", errors, |value| {
            DurationExpr::parse_positive("`max_wait`", "to reject calls without waiting, omit it", value)
        });
        let key = options.value("key", errors, Ok);
        let max_keys = options.value("max_keys", errors, |value| {
            Count::parse("max_keys", "with 0, all keys would share one limit", value)
        });
        let may_be_gcra = options.may_have("algorithm");
        let algorithm = options.value("algorithm", errors, algorithm);
        let burst = options.value("burst", errors, |value| at_most_max("burst", value));
        let permits = options.value("permits", errors, values::permits);
        let store = options.value("store", errors, Ok);
        let settings: Vec<_> = [
            key_of(limit.as_ref()),
            key_of(per.as_ref()),
            key_of(max_wait.as_ref()),
            key_of(max_keys.as_ref()),
            key_of(algorithm.as_ref()),
            key_of(burst.as_ref()),
            key_of(store.as_ref()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let instance = Instance::take(&mut options, &TERMS, attribute, function, errors);
        let example = "RateLimit::new(name, RateLimitConfig::new(100, Duration::from_secs(60)))";
        instance.check_settings(settings.first().copied(), |_| example.to_owned(), errors);
        let rejection = options.value("rejection", errors, |value| values::rejection("limited", value));
        let krate = options.value("crate", errors, values::crate_path);
        options.finish(errors);

        if let (Some(max_keys), None) = (&max_keys, &key) {
            errors.at(&max_keys.key, "`max_keys` needs a `key`, such as `key = user` for one limit per user");
        }
        if let (Some(key), false) = (&key, cfg!(feature = "keyed")) {
            errors.at(&key.key, "a limit per key needs steadfast's feature `keyed`");
        }
        if let (Some(store), false) = (&store, is_async) {
            errors
                .at(&store.key, "`store` needs an `async fn`: other functions cannot wait for the answer of the store");
        }
        match (&burst, &algorithm) {
            (Some(burst), Some(algorithm)) if algorithm.value != "Gcra" => {
                errors.at(
                    &burst.key,
                    "`burst` needs `algorithm = gcra`: a sliding window admits up to `limit` calls at once",
                );
            }
            (Some(burst), None) if !may_be_gcra => {
                errors.at(&burst.key, "`burst` needs `algorithm = gcra`: `algorithm = gcra, burst = 20`");
            }
            _ => {}
        }
        let capacity =
            [("burst", &burst), ("limit", &limit)].into_iter().find_map(|(name, given)| Some((name, given.as_ref()?)));
        if let (Some(permits), Some((name, capacity))) = (&permits, capacity) {
            values::check_permits(&permits.value, name, capacity.value.known(), errors);
        }
        for needs_timer in [key_of(max_wait.as_ref()), key_of(store.as_ref())] {
            if let (Some(key), true, false) = (needs_timer, is_async, cfg!(feature = "tokio")) {
                errors.at(key, "waiting in an async function needs a timer: enable steadfast's feature `tokio`");
            }
        }
        // All settings of a rate limit are given in one place.
        if let (Instance::Named(_), Some(first)) = (&instance, settings.first()) {
            match (may_have_limit, may_have_per) {
                (true, true) => {}
                (true, false) => errors.at(first, "`limit` needs a `per`: `limit = 100, per = 60s`"),
                (false, true) => errors.at(first, "`per` needs a `limit`: `limit = 100, per = 60s`"),
                (false, false) => {
                    errors.at(first, format!("`{first}` needs `limit` and `per`: `limit = 100, per = 60s`"));
                }
            }
        }
        Self {
            attribute,
            instance,
            key: key.map(|given| given.value),
            max_keys: max_keys.map(|given| given.value),
            limit: limit.map(|given| given.value),
            per: per.map(|given| given.value),
            max_wait: max_wait.map(|given| given.value),
            algorithm: algorithm.map(|given| given.value),
            burst: burst.map(|given| given.value),
            permits: permits.map(|given| given.value),
            store: store.map(|given| given.value),
            rejection: rejection.map(|given| given.value),
            krate: krate.map(|given| given.value),
        }
    }

    /// The settings as a const expression: `RateLimitConfig::new(limit, per)`. `None` if they are declared elsewhere.
    pub(super) fn config(&self, krate: &TokenStream) -> Option<TokenStream> {
        let (limit, per) = (self.limit.as_ref()?, self.per.as_ref()?);
        let max_wait = self.max_wait.as_ref().map(|max_wait| quote!(.max_wait(#max_wait)));
        let algorithm = self.algorithm.as_ref().map(|algorithm| quote!(.algorithm(#krate::Algorithm::#algorithm)));
        let store = self.store.as_ref().map(|store| {
            // A static that is not a store is reported at its path.
            let span = Span::call_site().located_at(store.span());
            let own = quote_spanned!(span=> &#store);
            quote!(.store(#own))
        });
        let burst = self.burst.as_ref().map(|burst| quote!(.burst(#burst)));
        Some(quote!(#krate::RateLimitConfig::new(#limit, #per) #max_wait #algorithm #burst #store))
    }
}

fn key_of<T>(given: Option<&Given<T>>) -> Option<&Ident> {
    given.map(|given| &given.key)
}

/// Parses a number from 1 to [`MAX_LIMIT`].
fn at_most_max(name: &str, value: Expr) -> Result<Count> {
    let span = value.span();
    let count = Count::parse(name, "with 0 no call could be made", value)?;
    if count.known().is_some_and(|number| number > MAX_LIMIT) {
        let hint = if name == "limit" { "; for a higher rate, shorten `per`" } else { "" };
        return Err(Error::new(span, format!("`{name}` must be at most 1,048,576{hint}")));
    }
    Ok(count)
}

fn algorithm(value: Expr) -> Result<Ident> {
    let (name, parameters) = Parameters::parse(value, "algorithm", &["sliding_window", "gcra"])?;
    parameters.finish()?;
    let variant = if name == "gcra" { "Gcra" } else { "SlidingWindow" };
    Ok(Ident::new(variant, Span::call_site().located_at(name.span())))
}
