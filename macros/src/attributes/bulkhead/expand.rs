//! `#[bulkhead]` as a layer: a permit that is held during the call.

use proc_macro2::Span;
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
/// If a layer above needs the disposition, the block evaluates to a pair of the outcome and the disposition.
pub(super) fn expand(bulkhead: &Bulkhead, call: &Call, position: Position, context: &Context) -> Call {
    let Position { index, read_above, timeouts } = position;
    let needs_disposition = read_above != Reads::Nothing;
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let krate = &context.krate;
    let Bulkhead { attribute, instance, .. } = bulkhead;
    // A timeout above the bulkhead releases the permit as well.
    let is_unlimited = context.is_async && !timeouts.is_limited_above && !timeouts.is_limited_below;
    let declaration = Declaration {
        attribute: *attribute,
        instance,
        config: bulkhead.config(krate),
        key: None,
        max_keys: None,
        failure_if: None,
        hang: is_unlimited.then_some("Endless"),
        ty: "Bulkhead",
        slice: "BULKHEADS",
        krate,
    };
    let (instance, acquire) = (declaration.block(), context.acquire());
    let (rejected, admitted) = context.limited(["FromBulkheadFull", "full"], call, needs_disposition);
    let code = quote_mixed! {
        #label: {
            let _permit = match #instance.#acquire {
                ::core::result::Result::Ok(permit) => permit,
                ::core::result::Result::Err(full) => break #label { #rejected },
            };
            #admitted
        }
    };
    Call { future: None, code, has_disposition: needs_disposition, is_limited: true, ..*call }
}
