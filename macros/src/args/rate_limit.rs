//! `#[rate_limit(...)]`

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Expr, Path, Result, spanned::Spanned};

use super::{
    owner::{Owner, Words},
    parameters::Parameters,
};
use crate::{
    duration::Time,
    errors::Errors,
    options::{self, Count, Options},
};

/// What a `#[rate_limit]` asks for.
pub(crate) struct RateLimit {
    /// Where the attribute stands.
    pub(crate) place: Span,
    pub(crate) owner: Owner,
    /// What tells apart the limits of that name.
    pub(crate) key: Option<Expr>,
    /// How many of them there are at most.
    pub(crate) max_keys: Option<Count>,
    limit: Option<Count>,
    per: Option<Time>,
    max_wait: Option<Time>,
    algorithm: Option<Ident>,
    store: Option<Expr>,
    pub(crate) krate: Option<Path>,
}

const OPTIONS: [&str; 11] =
    ["name", "rate_limit", "limit", "per", "max_wait", "key", "max_keys", "algorithm", "store", "allow_order", "crate"];

const LIMIT: &str = "write `limit = 100, per = 60s`";
const WAIT: &str = "`max_wait` is how long a call waits for its turn";
const HINTS: [(&str, &str); 12] = [
    ("max_calls", LIMIT),
    ("calls", LIMIT),
    ("rate", LIMIT),
    ("burst", LIMIT),
    ("per_second", LIMIT),
    ("per_minute", LIMIT),
    ("window", LIMIT),
    ("period", LIMIT),
    ("interval", LIMIT),
    ("timeout", WAIT),
    ("wait", WAIT),
    ("backend", "did you mean `store`?"),
];

const WORDS: Words = Words {
    option: "rate_limit",
    example: "SEARCH",
    name: "search",
    what: "a rate limit",
    constructor: "RateLimit::new(name, RateLimitConfig::new(100, Duration::from_secs(60)))",
};

/// What a window counts at most; the runtime has the same limit.
const MAX_LIMIT: u32 = 1_048_576;

impl RateLimit {
    pub(crate) fn parse(mut options: Options, attribute: Span, is_async: bool, errors: &mut Errors) -> Self {
        // A limit that is written in another library's words is one mistake, and reported.
        let is_misnamed = HINTS.iter().any(|(other, hint)| *hint == LIMIT && options.mentions(other, &[]));
        let [has_limit, has_per] = ["limit", "per"].map(|name| is_misnamed || options.mentions(name, &OPTIONS));
        let limit = options.value("limit", "limit = 100", errors, limit);
        let per = options.value("per", "per = 60s", errors, |value| {
            super::positive("`per`", "no call would ever be in such a window", value)
        });
        let max_wait = options.value("max_wait", "max_wait = 1s", errors, |value| {
            super::positive("`max_wait`", "leave it out, and no call waits", value)
        });
        let key = options.value("key", "key = user", errors, Ok);
        let max_keys = options.value("max_keys", "max_keys = 1_000", errors, |value| {
            Count::parse("max_keys", "with 0 all keys would share one limit", value)
        });
        let algorithm = options.value("algorithm", "algorithm = gcra", errors, algorithm);
        let store = options.value("store", "store = STORE", errors, Ok);
        let keys = settings([
            limit.as_ref().map(|given| &given.key),
            per.as_ref().map(|given| &given.key),
            max_wait.as_ref().map(|given| &given.key),
            max_keys.as_ref().map(|given| &given.key),
            algorithm.as_ref().map(|given| &given.key),
            store.as_ref().map(|given| &given.key),
        ]);
        let owner = Owner::take(&mut options, &WORDS, &OPTIONS, &keys, attribute, errors);
        let krate = options.value("crate", "crate = ::steadfast", errors, options::path);
        options.finish(&OPTIONS, &HINTS, errors);

        if let (Some(max_keys), None) = (&max_keys, &key) {
            errors.at(&max_keys.key, "`max_keys` needs a `key`: `key = user`, and there is a limit for each user");
        }
        if let (Some(key), false) = (&key, cfg!(feature = "keyed")) {
            errors.at(&key.key, "a limit for each key needs steadfast's feature `keyed`");
        }
        if let (Some(store), false) = (&store, is_async) {
            errors.at(&store.key, "a store is asked in `async` functions alone: others can't wait for its answer");
        }
        for needs_timer in [max_wait.as_ref().map(|given| &given.key), store.as_ref().map(|given| &given.key)] {
            if let (Some(key), true, false) = (needs_timer, is_async, cfg!(feature = "tokio")) {
                errors.at(key, "waiting in an async function needs a timer: enable steadfast's feature `tokio`");
            }
        }
        // Settings are given in one place, all of them.
        if let (Owner::Named(_), Some(first)) = (&owner, keys.first()) {
            match (has_limit, has_per) {
                (true, true) => {}
                (true, false) => errors.at(first, "`limit` needs a `per`: `limit = 100, per = 60s`"),
                (false, true) => errors.at(first, "`per` needs a `limit`: `limit = 100, per = 60s`"),
                (false, false) => {
                    errors.at(first, format!("`{first}` stands where the limit does: `limit = 100, per = 60s`"));
                }
            }
        }
        Self {
            place: attribute,
            owner,
            key: key.map(|given| given.value),
            max_keys: max_keys.map(|given| given.value),
            limit: limit.map(|given| given.value),
            per: per.map(|given| given.value),
            max_wait: max_wait.map(|given| given.value),
            algorithm: algorithm.map(|given| given.value),
            store: store.map(|given| given.value),
            krate: krate.map(|given| given.value),
        }
    }

    /// The settings as a const expression, if any are given.
    pub(crate) fn config(&self, krate: &TokenStream) -> Option<TokenStream> {
        let (limit, per) = (self.limit.as_ref()?, self.per.as_ref()?);
        let max_wait = self.max_wait.as_ref().map(|max_wait| quote!(.max_wait(#max_wait)));
        let algorithm = self.algorithm.as_ref().map(|algorithm| quote!(.algorithm(#krate::Algorithm::#algorithm)));
        let store = self.store.as_ref().map(|store| {
            // A static that is no store is a mistake at its path.
            let place = Span::call_site().located_at(store.span());
            let own = quote_spanned!(place=> &#store);
            quote!(.store(#own))
        });
        Some(quote!(#krate::RateLimitConfig::new(#limit, #per) #max_wait #algorithm #store))
    }
}

fn settings<const N: usize>(keys: [Option<&Ident>; N]) -> Vec<Ident> {
    keys.into_iter().flatten().cloned().collect()
}

fn limit(value: Expr) -> Result<Count> {
    let place = value.clone();
    let count = Count::parse("limit", "with 0 no call could ever be made", value)?;
    if count.known().is_some_and(|limit| limit > MAX_LIMIT) {
        return Err(Error::new_spanned(place, "`limit` must be at most 1,048,576: a window keeps each of its calls"));
    }
    Ok(count)
}

fn algorithm(value: Expr) -> Result<Ident> {
    let (name, parameters) = Parameters::of(value, "algorithm", &["sliding_window", "gcra"])?;
    parameters.finish()?;
    let variant = if name == "gcra" { "Gcra" } else { "SlidingWindow" };
    Ok(Ident::new(variant, Span::call_site().located_at(name.span())))
}
