//! `#[circuit_breaker]` as a layer: a permit around the call.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::Lifetime;

use super::options::CircuitBreaker;
use crate::{
    attributes::{Position, Reads, Timeouts},
    codegen::{
        context::{Call, Context},
        dispatch::{as_display, by_condition, error_display, predicate},
        registry::Declaration,
        spans::quote_mixed,
    },
    syntax::condition::Condition,
};

/// Input: `call`. Output:
///
/// ```text
/// 'call: {
///     let mut permit = match breaker.try_acquire() {
///         Ok(permit) => permit,
///         Err(open) => break 'call { CallResult::from_error(FromCircuitOpen::from_rejection(open)) },
///     };
///     let guard = PanicGuard::new(&mut permit);
///     let outcome: R = call;
///     guard.disarm();
///     match CallResult::into_result(outcome) {
///         Ok(success) => {
///             record_success(&permit);
///             forget(permit);
///             CallResult::from_value(success)
///         }
///         Err(error) => {
///             record(permit, error_as_display, &error);
///             CallResult::from_error(error)
///         }
///     }
/// }
/// ```
///
/// With `failure_if_result`, `record_by_result(permit, error_as_display, &outcome, predicate)` takes the place of the `match`.
///
/// In an `async` function the call is `let outcome: R = Polled::new(&mut permit, future).await;`, without the mark, because the call runs
/// only while its future is polled. A panic of the call is a failure; a panic elsewhere is not.
///
/// The result of `try_acquire` is dropped before the call, so that the future of an `async` function stores no rejection. If a layer above
/// needs the disposition, the block evaluates to a pair of the outcome and the disposition. A call that a limit below rejects does not
/// reach the dependency, so it is ignored. If the option `rejection` of a layer below may make a success, `record_by_disposition` takes the
/// place of `record_success`.
pub(super) fn expand(breaker: &CircuitBreaker, call: &Call, position: Position, context: &Context) -> Call {
    let Position { index, timeouts, .. } = position;
    let makes_values = context.makes_values(breaker.rejection.as_ref());
    let needs_disposition = position.needs_disposition(Reads::Everything, makes_values, call);
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let krate = &context.krate;
    let (output, code) = (&context.output, &call.code);
    let record = record(breaker, context);
    let (pattern, ty, disposition) = if call.has_disposition {
        let disposition = quote_mixed! {
            match disposition {
                #krate::__private::Disposition::LimitRejected => {
                    permit.ignore();
                    #krate::__private::Disposition::LimitRejected
                }
                disposition => disposition.or(#record),
            }
        };
        (quote_mixed!((outcome, disposition)), quote_mixed!((#output, #krate::__private::Disposition)), disposition)
    } else {
        (quote_mixed!(outcome), quote_mixed!(#output), record)
    };
    let has_made_values = call.has_disposition && call.has_made_values;
    let (binding, succeeded, failed) = if needs_disposition {
        (
            quote_mixed!(let disposition),
            if has_made_values {
                quote_mixed!((outcome, disposition))
            } else {
                quote_mixed!((outcome, #krate::__private::Disposition::Called))
            },
            quote_mixed!((outcome, disposition)),
        )
    } else {
        (quote_mixed!(_), quote_mixed!(outcome), quote_mixed!(outcome))
    };
    let success = if has_made_values {
        quote_mixed!(#binding = #krate::__private::record_by_disposition(permit, disposition);)
    } else {
        quote_mixed! {
            #krate::__private::record_success(&permit);
            #krate::__private::forget(permit);
        }
    };
    let ended = if let Condition::Value(_) = breaker.condition {
        quote_mixed!(#binding = #disposition; #failed)
    } else {
        context.match_outcome([success, succeeded], [quote_mixed!(#binding = #disposition;), failed])
    };
    let value = match (&breaker.condition, context.returns_option, &breaker.rejection) {
        (Condition::Value(_), false, None) => rejected_value(context),
        (.., rejection) => context.rejected(["FromCircuitOpen", "open"], rejection.as_ref()),
    };
    let rejected = if needs_disposition {
        quote_mixed!({
            let disposition = #krate::__private::Disposition::CircuitRejected(open.retry_after());
            (#value, disposition)
        })
    } else {
        // In braces, since syn 2, which parses the code for other attributes, takes `'label ::path` for a labeled block.
        quote_mixed!({ #value })
    };
    let run = if context.is_async {
        let in_place = || quote_mixed!(#krate::__private::InPlace(::core::pin::pin!(async { #code })));
        let future = call.future.clone().unwrap_or_else(in_place);
        quote_mixed! {
            let #pattern: #ty = #krate::__private::Polled::new(&mut permit, #future).await;
        }
    } else {
        quote_mixed! {
            let guard = #krate::__private::PanicGuard::new(&mut permit);
            let #pattern: #ty = #code;
            guard.disarm();
        }
    };
    let hang = match timeouts {
        Timeouts { is_limited_below: true, .. } => None,
        Timeouts { is_limited_above: true, .. } => Some("Cancelled"),
        _ => Some("Endless"),
    };
    let declaration = declaration(breaker, hang.filter(|_| context.is_async), krate);
    let (own, instance) = (declaration.binding(), declaration.block());
    // The breaker of a key is held during the call, so that it is not evicted.
    let (held, instance) = match &breaker.key {
        Some(_) => (quote_mixed!(let breaker = #instance;), quote_mixed!(breaker)),
        None => (TokenStream::new(), instance),
    };
    let code = quote_mixed! {
        #label: {
            #own
            #held
            let mut permit = match #instance.try_acquire() {
                ::core::result::Result::Ok(permit) => permit,
                ::core::result::Result::Err(open) => break #label #rejected,
            };
            #run
            #ended
        }
    };
    let has_made_values = call.has_made_values || makes_values;
    Call { future: None, code, has_disposition: needs_disposition, has_made_values, ..*call }
}

/// The call that gives the outcome to the permit, and evaluates to the disposition of the call.
fn record(breaker: &CircuitBreaker, context: &Context) -> TokenStream {
    let (krate, span) = (&context.krate, context.output_span);
    match &breaker.condition {
        Condition::Value(closure) => {
            let (display, predicate) = (error_display(krate), predicate(krate, closure));
            context.outcome_call("record_by_result", &quote_spanned!(span=> permit, #display, &outcome, #predicate))
        }
        condition => {
            let display = as_display(krate);
            by_condition(condition, "record", &quote_spanned!(span=> permit, #display, error), context)
        }
    }
}

/// The value of a rejected call, from the variable `open`, for a return type that may be neither a `Result` nor an `Option`. Output:
/// `converter()(FromCircuitOpen::from_rejection(open))`, where `converter()` makes the returned value of the error of a `Result` or
/// `Option`, and is the identity for other types.
fn rejected_value(context: &Context) -> TokenStream {
    let (krate, output) = (&context.krate, &context.output);
    let error = context.rejection_as_error("FromCircuitOpen", "open");
    quote_mixed!({
        #[allow(unused_imports)]
        use #krate::__private::{ErrorReturn as _, ValueReturn as _};
        let converter = (&&#krate::__private::ReturnProbe::<#output>::NEW).converter();
        converter(#error)
    })
}

/// The declaration of the breaker.
fn declaration<'a>(breaker: &'a CircuitBreaker, hang: Option<&'static str>, krate: &'a TokenStream) -> Declaration<'a> {
    let CircuitBreaker { attribute, instance, settings, key, max_keys, .. } = breaker;
    let (ty, slice) = if key.is_some() { ("KeyedBreakers", "KEYED_BREAKERS") } else { ("CircuitBreaker", "BREAKERS") };
    Declaration {
        attribute: *attribute,
        instance,
        config: settings.as_ref().map(|settings| settings.expression(krate)),
        key: key.as_ref(),
        max_keys: max_keys.as_ref(),
        is_weighted: false,
        failure_if: breaker.failure_if(),
        hang,
        ty,
        slice,
        krate,
    }
}
