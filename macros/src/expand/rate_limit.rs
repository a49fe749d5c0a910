//! `#[rate_limit]` as a layer.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Lifetime, spanned::Spanned};

use super::{Attempt, Context, code, declared, moved, refused};
use crate::args::{owner::Owner, rate_limit::RateLimit};

/// Input: `attempt`. Output:
///
/// ```text
/// 'call: {
///     if let Err(limited) = limit.acquire_async().await {
///         break 'call CallResult::from_error(FromRateLimited::from_rejection(limited));
///     }
///     attempt
/// }
/// ```
///
/// Where a layer above asks how the call fared, the block gives a pair, as that of a breaker does.
pub(super) fn expand(limit: &RateLimit, attempt: &Attempt, index: usize, asked: bool, context: &Context) -> Attempt {
    // A label of its own for each layer: one that shadows another draws a warning.
    let call = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let (target, acquire) = (target(limit, &context.krate), context.acquire());
    let (rejected, outcome) = refused(["FromRateLimited", "limited"], attempt, asked, context);
    let code = code! {
        #call: {
            if let ::core::result::Result::Err(limited) = #target.#acquire {
                break #call #rejected;
            }
            #outcome
        }
    };
    Attempt { future: None, code, has_passage: asked, is_limited: true, is_scoped: attempt.is_scoped }
}

/// Input: `name = "search", limit = 100, per = 60s`. Output: a declaration that the registry lists, and its limit.
fn target(limit: &RateLimit, krate: &TokenStream) -> TokenStream {
    // The location that the declaration remembers is the place of this call: the attribute, not the stack that it is in.
    let place = limit.place;
    let here = moved(place, krate);
    let declaration = match &limit.owner {
        Owner::Named(name) => {
            let config = super::option(limit.config(krate));
            let declaration = quote_spanned!(place=> #here::__private::Declared::named(#name, #config));
            match &limit.max_keys {
                Some(max_keys) => quote_spanned!(place=> #declaration.max_keys(#max_keys)),
                None => declaration,
            }
        }
        Owner::Static(path) => {
            // A static of another type is a mistake at its path.
            let at_path = path.span();
            let own = quote_spanned!(at_path=> &#path);
            quote_spanned!(place=> #here::__private::Declared::of(#own))
        }
        Owner::Missing => return TokenStream::new(),
    };
    // A conflict is reported there as well.
    let get = quote_spanned!(place=> get());
    match &limit.key {
        None => declared(&declaration, &code!(#krate::RateLimit), "RATE_LIMITS", &code!(DECLARATION.#get), krate),
        Some(key) => {
            // An error about the key's type belongs to the key.
            let at_key = key.span();
            let (path, limits) = (moved(at_key, krate), code!(DECLARATION.#get));
            let find = quote_spanned!(at_key=> #path::__private::Key::find_in(#limits, &(#key)));
            declared(&declaration, &code!(#krate::KeyedRateLimits), "KEYED_RATE_LIMITS", &find, krate)
        }
    }
}
