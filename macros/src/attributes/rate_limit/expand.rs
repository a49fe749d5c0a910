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
/// With `permits`, the number is evaluated first: `let permits = PermitCount::count(value);`, and the call is `acquire_many_async(permits)`.
/// If a layer above needs the disposition, the block evaluates to a pair of the outcome and the disposition.
pub(super) fn expand(limit: &RateLimit, call: &Call, position: Position, context: &Context) -> Call {
    let Position { index, .. } = position;
    let makes_values = context.makes_values(limit.rejection.as_ref());
    let needs_disposition = position.needs_disposition(Reads::LimitRejections, makes_values, call);
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let declaration = declaration(limit, &context.krate);
    let (own, instance) = (declaration.binding(), declaration.block());
    let permits = limit.permits.as_ref().map(|value| context.permits(value));
    // The lookup by a key takes the number of permits.
    let is_weighted = permits.is_some() && limit.key.is_none();
    let acquire = if is_weighted { context.acquire_many() } else { context.acquire() };
    let acquired = if own.is_empty() {
        quote_mixed!(#instance.#acquire)
    } else {
        // The borrow of the expression ends before the call.
        quote_mixed!({ #own let acquired = #instance.#acquire; acquired })
    };
    let (rejected, admitted) =
        context.limited(["FromRateLimited", "limited"], limit.rejection.as_ref(), call, needs_disposition);
    let code = quote_mixed! {
        #label: {
            #permits
            if let ::core::result::Result::Err(limited) = #acquired {
                break #label { #rejected };
            }
            #admitted
        }
    };
    let has_made_values = call.has_made_values || makes_values;
    Call { future: None, code, has_disposition: needs_disposition, is_limited: true, has_made_values, ..*call }
}

/// The declaration of the limit.
fn declaration<'a>(limit: &'a RateLimit, krate: &'a TokenStream) -> Declaration<'a> {
    let RateLimit { attribute, instance, key, max_keys, permits, .. } = limit;
    let (ty, slice) =
        if key.is_some() { ("KeyedRateLimits", "KEYED_RATE_LIMITS") } else { ("RateLimit", "RATE_LIMITS") };
    Declaration {
        attribute: *attribute,
        instance,
        config: limit.config(krate),
        key: key.as_ref(),
        max_keys: max_keys.as_ref(),
        is_weighted: permits.is_some(),
        failure_if: None,
        hang: None,
        ty,
        slice,
        krate,
    }
}
