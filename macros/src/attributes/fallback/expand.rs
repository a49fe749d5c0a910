//! `#[fallback]` as a layer: the alternatives after the call.

use proc_macro2::{Span, TokenStream};
use quote::format_ident;
use syn::Lifetime;

use super::{
    alternatives::{answer, clone_of},
    options::{Alternative, Fallback},
};
use crate::{
    attributes::{Position, Reads},
    codegen::{
        context::{Call, Context},
        dispatch::{by_condition, error_display},
        registry,
        spans::quote_mixed,
    },
    item::{
        arguments::{Argument, Rebind},
        uses::{mentions, used_by},
    },
    syntax::{condition::Condition, values::name_or_path},
};

/// Input: `call`. Output, for a function and a closure:
///
/// ```text
/// 'fallback: {
///     let counted = { /* the static that counts the calls of this function */ STEADFAST_COUNTS.begin() };
///     {
///         let outcome: R = call;
///         let outcome: R = match CallResult::into_result(outcome) {
///             Ok(success) => { counted.answered(); break 'fallback CallResult::from_value(success) }
///             Err(error) => CallResult::from_error(error),
///         };
///         emit_fallback(&outcome, error_display, "function", "cached");
///     }
///     let error = {
///         /* the same with `cached(arguments)` */
///         emit_fallback(&outcome, error_display, "function", "a closure");
///         match CallResult::into_result(outcome) {
///             Ok(success) => break 'fallback CallResult::from_value(success),
///             Err(error) => error,
///         }
///     };
///     let outcome: R = fallback_closure(error, closure);
///     match CallResult::into_result(outcome) {
///         Ok(success) => { counted.answered_by_fallback(); CallResult::from_value(success) }
///         Err(error) => { counted.failed(); CallResult::from_error(error) }
///     }
/// }
/// ```
///
/// An error that does not match the condition is returned as a success is, and counted as a failure. A failure is dropped before the next function is called, so that
/// the future is `Send` even if the error is not. If the option `rejection` of a layer below may have made the value of a success,
/// `counted.answered_by(disposition)` takes the place of `counted.answered()`: such a value is a substitute, as that of a fallback is.
pub(super) fn expand(fallback: &Fallback, call: &Call, position: Position, context: &mut Context) -> Call {
    let krate = context.krate.clone();
    // The label is unique: a label that shadows another draws a warning.
    let label = Lifetime::new(&format!("'fallback_{}", position.index), Span::mixed_site());
    let (slots, bindings) = rebind(fallback, context);
    let (output, code) = (&context.output, &call.code);
    let needs_disposition = call.has_disposition && position.read_above != Reads::Nothing;
    let mut outcome = if call.has_disposition {
        quote_mixed!((outcome, disposition): (#output, #krate::__private::Disposition))
    } else {
        quote_mixed!(outcome: #output)
    };
    // The outcome of an alternative replaces the rejection, so the disposition is that of a made call.
    let (mut value, answered) = if needs_disposition {
        (quote_mixed!((outcome, disposition)), quote_mixed!((outcome, #krate::__private::Disposition::Called)))
    } else {
        (quote_mixed!(outcome), quote_mixed!(outcome))
    };
    let mut count = if call.has_disposition && call.has_made_values {
        quote_mixed!(counted.answered_by(disposition);)
    } else {
        quote_mixed!(counted.answered();)
    };
    let is_failure = match &fallback.condition {
        Condition::Default | Condition::Any => None,
        condition => Some(by_condition(condition, "is_failure", &context.outcome_error(), context)),
    };
    let (mut code, mut steps) = (quote_mixed!({ #bindings #code }), TokenStream::new());
    // Clippy proposes to replace a closure by a function, but a function would be called with the arguments instead of the error.
    let mut allow = TokenStream::new();
    for (index, alternative) in fallback.alternatives.iter().enumerate() {
        let event = event(alternative, context);
        let judged = context
            .match_outcome([count, quote_mixed!(break #label #value)], [TokenStream::new(), quote_mixed!(outcome)]);
        let ends = is_failure
            .as_ref()
            .map(|is_failure| quote_mixed!(if !#is_failure { counted.failed(); break #label #value; }));
        let fails = quote_mixed! {
            #allow
            let #outcome = #code;
            let outcome: #output = #judged;
            #ends
            #event
        };
        steps.extend(if alternative.is_closure() {
            quote_mixed! {
                let error = {
                    #fails
                    match #krate::__private::CallResult::into_result(outcome) {
                        ::core::result::Result::Ok(success) => {
                            let outcome: #output = #krate::__private::CallResult::from_value(success);
                            break #label #value;
                        }
                        ::core::result::Result::Err(error) => error,
                    }
                };
            }
        } else {
            quote_mixed!({ #fails })
        });
        code = answer(alternative, index + 1 == fallback.alternatives.len(), context);
        (outcome, value) = (quote_mixed!(outcome: #output), answered.clone());
        count = quote_mixed!(counted.answered_by_fallback(););
        allow = if alternative.is_closure() {
            quote_mixed!(#[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)])
        } else {
            TokenStream::new()
        };
    }
    let begun = registry::fallback(&name_or_path(None, &context.function), &context.breakers, &krate);
    let ended =
        context.match_outcome([count, quote_mixed!(outcome)], [quote_mixed!(counted.failed();), quote_mixed!(outcome)]);
    let code = quote_mixed! {
        #label: {
            let counted = #begun;
            #slots
            #steps
            #allow
            let #outcome = #code;
            let outcome: #output = #ended;
            #answered
        }
    };
    context.inputs.end_changes();
    if fallback.gets_arguments() {
        context.inputs.rebind_forwarded();
    }
    Call { future: None, code, has_disposition: needs_disposition, ..*call }
}

/// The statement that emits the event of an alternative.
fn event(alternative: &Alternative, context: &Context) -> TokenStream {
    let (krate, name) = (&context.krate, alternative.name());
    let (function, error) = (name_or_path(None, &context.function), error_display(krate));
    quote_mixed!(#krate::__private::emit_fallback(&outcome, #error, #function, #name);)
}

/// The statements that rebind arguments for the call if the alternatives need them later: those before the block of the call, and those
/// inside that block.
fn rebind(fallback: &Fallback, context: &Context) -> (TokenStream, TokenStream) {
    let (krate, mut slots, mut bindings) = (&context.krate, context.check_consumed_self(), TokenStream::new());
    let gets_all = fallback.gets_arguments();
    for (index, argument) in context.inputs.rebound.iter().enumerate() {
        let Argument { name, mutability, cfgs, rebind, .. } = argument;
        let is_used = gets_all
            || fallback.alternatives.iter().any(|alternative| mentions(context.renamed(alternative.used()), name))
            || matches!(&fallback.condition, Condition::Error(predicate) if mentions(context.renamed(used_by(predicate)), name));
        let span = Span::mixed_site().located_at(name.span());
        let own = match rebind {
            _ if !is_used => quote_mixed!(#name),
            Rebind::Clone => clone_of(name, context),
            Rebind::CloneOrLend => quote_mixed!({
                #[allow(unused_imports)]
                use #krate::__private::{ByClone as _, ByLoan as _};
                (&&#krate::__private::LendProbe(&#name)).kind().for_call(&mut #name)
            }),
            Rebind::Reborrow => quote_mixed!(&mut *#name),
            Rebind::Copy => quote_mixed!(#name),
            Rebind::Repin => {
                let slot = format_ident!("pinned_{index}", span = span);
                slots.extend(quote_mixed!(#(#cfgs)* let mut #slot = #name; #(#cfgs)* let mut #name = #slot.as_mut();));
                quote_mixed!(#name.as_mut())
            }
        };
        let allow = context.inputs.lint_of_mut(argument);
        bindings.extend(quote_mixed!(#(#cfgs)* #allow let #mutability #name = #own;));
    }
    (slots, bindings)
}
