//! `#[bulkhead]` as a layer.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::Lifetime;

use super::{Attempt, Context, code, declared, moved, refused};
use crate::args::{bulkhead::Bulkhead, owner::Owner};

/// Input: `attempt`. Output:
///
/// ```text
/// 'call: {
///     let _permit = match bulkhead.acquire_async().await {
///         Ok(permit) => permit,
///         Err(full) => break 'call CallResult::from_error(FromBulkheadFull::from_rejection(full)),
///     };
///     attempt
/// }
/// ```
///
/// Where a layer above asks how the call fared, the block gives a pair, as that of a breaker does.
pub(super) fn expand(bulkhead: &Bulkhead, attempt: &Attempt, index: usize, asked: bool, context: &Context) -> Attempt {
    // A label of its own for each layer: one that shadows another draws a warning.
    let call = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let (target, acquire) = (target(bulkhead, &context.krate), context.acquire());
    let (rejected, outcome) = refused(["FromBulkheadFull", "full"], attempt, asked, context);
    let code = code! {
        #call: {
            let _permit = match #target.#acquire {
                ::core::result::Result::Ok(permit) => permit,
                ::core::result::Result::Err(full) => break #call #rejected,
            };
            #outcome
        }
    };
    Attempt { future: None, code, has_passage: asked, is_limited: true, is_scoped: attempt.is_scoped }
}

/// Input: `name = "database", max_concurrent = 10`. Output: a declaration that the registry lists, and its bulkhead.
fn target(bulkhead: &Bulkhead, krate: &TokenStream) -> TokenStream {
    // The location that the declaration remembers is the place of this call: the attribute, not the stack that it is in.
    let place = bulkhead.place;
    let here = moved(place, krate);
    let declaration = match &bulkhead.owner {
        Owner::Named(name) => {
            let config = super::option(bulkhead.config(krate));
            quote_spanned!(place=> #here::__private::Declared::named(#name, #config))
        }
        Owner::Static(path) => {
            // A static of another type is a mistake at its path.
            let at_path = bulkhead.owner.span();
            let own = quote_spanned!(at_path=> &#path);
            quote_spanned!(place=> #here::__private::Declared::of(#own))
        }
        Owner::Missing => return TokenStream::new(),
    };
    // A conflict is reported there as well.
    let get = quote_spanned!(place=> get());
    declared(&declaration, &code!(#krate::Bulkhead), "BULKHEADS", &code!(DECLARATION.#get), krate)
}
