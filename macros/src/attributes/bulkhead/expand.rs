//! `#[bulkhead]` as a layer: a permit that is held during the call.

use proc_macro2::{Span, TokenStream};
use syn::Lifetime;

use super::options::Bulkhead;
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
///     let _permit = match bulkhead.acquire_async().await {
///         Ok(permit) => permit,
///         Err(full) => break 'call { CallResult::from_error(FromBulkheadFull::from_rejection(full)) },
///     };
///     call
/// }
/// ```
///
/// With a `key`, the block begins with `let bulkhead = Key::find_in(bulkheads, &key);`, so that the bulkhead of the key is held during the
/// call. With `permits`, the number is evaluated first: `let permits = PermitCount::count(value);`, and the call is
/// `acquire_many_async(permits)`. If a layer above needs the disposition, the block evaluates to a pair of the outcome and the disposition.
pub(super) fn expand(bulkhead: &Bulkhead, call: &Call, position: Position, context: &Context) -> Call {
    let Position { index, timeouts, .. } = position;
    let makes_values = context.makes_values(bulkhead.rejection.as_ref());
    let needs_disposition = position.needs_disposition(Reads::LimitRejections, makes_values, call);
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let krate = &context.krate;
    let Bulkhead { attribute, instance, key, max_keys, .. } = bulkhead;
    // A timeout above the bulkhead releases the permit as well.
    let is_unlimited = context.is_async && !timeouts.is_limited_above && !timeouts.is_limited_below;
    let declaration = Declaration {
        attribute: *attribute,
        instance,
        config: bulkhead.config(krate),
        key: key.as_ref(),
        max_keys: max_keys.as_ref(),
        is_weighted: false,
        failure_if: None,
        hang: is_unlimited.then_some("Endless"),
        ty: if key.is_some() { "KeyedBulkheads" } else { "Bulkhead" },
        slice: if key.is_some() { "KEYED_BULKHEADS" } else { "BULKHEADS" },
        krate,
    };
    let own = declaration.binding();
    let (mut instance, mut held) = (declaration.block(), TokenStream::new());
    if key.is_some() {
        held = quote_mixed!(let bulkhead = #instance;);
        instance = quote_mixed!(bulkhead);
    }
    let permits = bulkhead.permits.as_ref().map(|value| context.permits(value));
    let acquire = if permits.is_some() { context.acquire_many() } else { context.acquire() };
    let (rejected, admitted) =
        context.limited(["FromBulkheadFull", "full"], bulkhead.rejection.as_ref(), call, needs_disposition);
    let code = quote_mixed! {
        #label: {
            #own
            #permits
            #held
            let _permit = match #instance.#acquire {
                ::core::result::Result::Ok(permit) => permit,
                ::core::result::Result::Err(full) => break #label { #rejected },
            };
            #admitted
        }
    };
    let has_made_values = call.has_made_values || makes_values;
    Call { future: None, code, has_disposition: needs_disposition, is_limited: true, has_made_values, ..*call }
}
