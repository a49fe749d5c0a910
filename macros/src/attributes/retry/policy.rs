//! The policy of a `#[retry]`, as a const expression and as a static.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::{
    options::Retry,
    values::{MaxAttempts, Nested},
};
use crate::{
    codegen::{registry, spans::quote_mixed},
    syntax::values::name_or_path,
};

/// A reference to the policy. A policy with a name is listed in the registry, so that external settings can replace it.
pub(super) fn reference(retry: &Retry, krate: &TokenStream, function: &str) -> TokenStream {
    let policy = expression(retry, krate, function);
    let Some(name) = &retry.name else {
        if refers_to_static(retry) {
            // A constant cannot refer to a static with interior mutability.
            if let Some(error) = registry::self_error(&policy) {
                return error;
            }
            return quote_mixed!({ static POLICY: #krate::RetryPolicy = #policy; &POLICY });
        }
        return quote_mixed!(const { &#policy });
    };
    registry::policy(name, &policy, krate)
}

fn refers_to_static(retry: &Retry) -> bool {
    retry.budget.is_some() || retry.backoff.as_ref().is_some_and(|backoff| backoff.is_custom)
}

/// `RetryPolicy::new().name("...").max_attempts(5)`, with a call for each option that is given.
fn expression(retry: &Retry, krate: &TokenStream, function: &str) -> TokenStream {
    let name = name_or_path(retry.name.as_ref(), function);
    let attempts = match (&retry.max_attempts, &retry.max_elapsed) {
        (Some(MaxAttempts::Unlimited), Some(limit)) => Some(quote!(.unlimited(#limit))),
        (Some(MaxAttempts::Number(count)), _) => Some(quote!(.max_attempts(#count))),
        _ => None,
    };
    let backoff = retry.backoff.as_ref().map(|backoff| {
        let schedule = backoff.schedule(krate);
        quote!(.backoff(#schedule))
    });
    let jitter = retry.jitter.as_ref().map(|jitter| {
        let jitter = jitter.tokens(krate);
        quote!(.jitter(#jitter))
    });
    let max_elapsed = retry.max_elapsed.as_ref().map(|limit| quote!(.max_elapsed(#limit)));
    let budget = retry.budget.as_ref().map(|budget| {
        // A static of the wrong type is reported at its path.
        let span = Span::call_site().located_at(budget.span());
        let own = quote_spanned!(span=> &#budget);
        quote!(.budget(#own))
    });
    let nested = retry.nested.as_ref().map(|nested| match nested {
        Nested::Independent => quote!(.nested(#krate::Nested::Independent)),
        Nested::Inherit => quote!(.nested(#krate::Nested::Inherit)),
    });
    let policy = quote!(#krate::RetryPolicy::new().name(#name) #attempts #backoff #jitter #max_elapsed #budget #nested);
    if retry.is_timed() { quote!(#krate::__private::timed(#policy)) } else { policy }
}
