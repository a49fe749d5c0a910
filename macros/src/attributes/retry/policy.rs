//! The policy of a `#[retry]`: a const expression, a static, or a copy for each call.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::{
    options::Retry,
    values::{MaxAttempts, Nested},
};
use crate::{
    codegen::{
        context::Context,
        registry,
        spans::{located_at, quote_mixed},
    },
    syntax::values::name_or_path,
};

/// A reference to the policy. A policy with a name is listed in the registry, so that external settings can replace it.
///
/// With `policy` or `enabled`, each call has its own copy of the policy in the variable `own_policy`: see [`own`].
pub(super) fn reference(retry: &Retry, context: &Context) -> TokenStream {
    if is_own(retry) { quote_mixed!(&own_policy) } else { declared(retry, &context.krate, &context.function) }
}

/// The statements before the first attempt that evaluate `policy` and `enabled`. They end all borrows of the arguments, so that the body can
/// move or change these.
///
/// Input: `policy = self.retry, enabled = order.is_new()`. Output:
///
/// ```text
/// let own_policy = { let policy = &(self.retry); let policy: &RetryPolicy = policy; own_policy(policy, "name") };
/// let is_enabled: bool = order.is_new();
/// let own_policy = enabled_if(&own_policy, is_enabled);
/// ```
pub(super) fn own(retry: &Retry, context: &Context) -> TokenStream {
    if !is_own(retry) {
        return TokenStream::new();
    }
    let krate = &context.krate;
    let policy = match &retry.policy {
        Some(policy) => {
            // A value of another type is reported at the expression.
            let span = Span::mixed_site().located_at(policy.span());
            let at_policy = located_at(span, krate);
            let reference = Ident::new("policy", span);
            let name = name_or_path(None, &context.function);
            let policy = quote_mixed!({
                let policy = &(#policy);
                let policy: &#at_policy::RetryPolicy = #reference;
                #krate::__private::own_policy(policy, #name)
            });
            if retry.is_timed() { quote_mixed!(#krate::__private::timed(#policy)) } else { policy }
        }
        None => {
            let policy = declared(retry, krate, &context.function);
            quote_mixed!(*#policy)
        }
    };
    let enabled = retry.enabled.as_ref().map(|enabled| {
        let span = Span::mixed_site().located_at(enabled.span());
        let is_enabled = quote_spanned!(span=> let is_enabled: ::core::primitive::bool = #enabled;);
        quote_mixed! {
            #is_enabled
            let own_policy = #krate::__private::enabled_if(own_policy, is_enabled);
        }
    });
    quote_mixed! {
        let own_policy = #policy;
        #enabled
    }
}

fn is_own(retry: &Retry) -> bool {
    retry.policy.is_some() || retry.enabled.is_some()
}

/// A reference to the policy that the options declare. Its budget is listed.
fn declared(retry: &Retry, krate: &TokenStream, function: &str) -> TokenStream {
    let policy = expression(retry, krate, function);
    let listed = retry.budget.as_ref().map(|budget| registry::listed(budget, krate)).unwrap_or_default();
    let Some(name) = &retry.name else {
        if refers_to_static(retry) {
            // A constant cannot refer to a static with interior mutability.
            if let Some(error) = registry::self_error(&policy) {
                return error;
            }
            return quote_mixed!({ #listed static POLICY: #krate::RetryPolicy = #policy; &POLICY });
        }
        return quote_mixed!(const { &#policy });
    };
    registry::policy(name, &policy, &listed, krate)
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
    let max_retry_after = retry.max_retry_after.as_ref().map(|longest| quote!(.max_retry_after(#longest)));
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
    // A policy without the option `name` has the path of the function, under which calls are not counted.
    let new = if retry.name.is_some() {
        quote!(#krate::RetryPolicy::new().name(#name))
    } else {
        quote!(#krate::__private::label(#krate::RetryPolicy::new(), #name))
    };
    let policy = quote!(#new #attempts #backoff #jitter #max_elapsed #max_retry_after #budget #nested);
    if retry.is_timed() { quote!(#krate::__private::timed(#policy)) } else { policy }
}
