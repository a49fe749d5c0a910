//! `#[rate_limit]` as a layer: a permit before the call.

use proc_macro2::{Span, TokenStream};
use syn::Lifetime;

use super::options::RateLimit;
use crate::{
    attributes::{Position, Reads},
    codegen::{
        context::{Call, Context},
        registry::Declaration,
        spans::quote_mixed,
    },
};

/// Input: `call`. Output:
///
/// ```text
/// 'call: {
///     if let Err(limited) = limit.acquire_async().await {
///         break 'call refuse_limited(limited);
///     }
///     call
/// }
/// ```
///
/// If a layer above needs the disposition, the block gives a pair, as that of a breaker does.
pub(super) fn expand(limit: &RateLimit, call: &Call, position: Position, context: &Context) -> Call {
    let Position { index, read_above } = position;
    let needs_disposition = read_above != Reads::Nothing;
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let (instance, acquire) = (declaration(limit, &context.krate), context.acquire());
    let (rejected, admitted) = context.limited(["refuse_limited", "limited"], call, needs_disposition);
    let code = quote_mixed! {
        #label: {
            if let ::core::result::Result::Err(limited) = #instance.#acquire {
                break #label #rejected;
            }
            #admitted
        }
    };
    Call { future: None, code, has_disposition: needs_disposition, is_limited: true, ..*call }
}

/// Input: `name = "search", limit = 100, per = 60s`. Output: the block that declares the limit and gives it.
fn declaration(limit: &RateLimit, krate: &TokenStream) -> TokenStream {
    let RateLimit { attribute, instance, key, max_keys, .. } = limit;
    let config = limit.config(krate).map(|config| match (key, max_keys) {
        (None, _) => config,
        (Some(_), None) => quote_mixed!((#config, #krate::KeyedRateLimits::DEFAULT_MAX_KEYS)),
        (Some(_), Some(max_keys)) => quote_mixed!((#config, #max_keys)),
    });
    let ty_and_slice =
        if key.is_some() { ["KeyedRateLimits", "KEYED_RATE_LIMITS"] } else { ["RateLimit", "RATE_LIMITS"] };
    Declaration { attribute: *attribute, instance, config, key: key.as_ref(), krate }.limit(ty_and_slice)
}
