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
///         break 'call { CallResult::from_error(FromRateLimited::from_rejection(limited)) };
///     }
///     call
/// }
/// ```
///
/// If a layer above needs the disposition, the block evaluates to a pair of the outcome and the disposition.
pub(super) fn expand(limit: &RateLimit, call: &Call, position: Position, context: &Context) -> Call {
    let Position { index, read_above, .. } = position;
    let needs_disposition = read_above != Reads::Nothing;
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let (instance, acquire) = (declaration(limit, &context.krate), context.acquire());
    let (rejected, admitted) = context.limited(["FromRateLimited", "limited"], call, needs_disposition);
    let code = quote_mixed! {
        #label: {
            if let ::core::result::Result::Err(limited) = #instance.#acquire {
                break #label { #rejected };
            }
            #admitted
        }
    };
    Call { future: None, code, has_disposition: needs_disposition, is_limited: true, ..*call }
}

/// Input: `name = "search", limit = 100, per = 60s`. Output: the block that declares the limit and evaluates to it.
fn declaration(limit: &RateLimit, krate: &TokenStream) -> TokenStream {
    let RateLimit { attribute, instance, key, max_keys, .. } = limit;
    let (ty, slice) =
        if key.is_some() { ("KeyedRateLimits", "KEYED_RATE_LIMITS") } else { ("RateLimit", "RATE_LIMITS") };
    let declaration = Declaration {
        attribute: *attribute,
        instance,
        config: limit.config(krate),
        key: key.as_ref(),
        max_keys: max_keys.as_ref(),
        failure_if: None,
        hang: None,
        ty,
        slice,
        krate,
    };
    declaration.block()
}
