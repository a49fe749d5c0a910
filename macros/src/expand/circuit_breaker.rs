//! `#[circuit_breaker]` as a layer.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Lifetime, spanned::Spanned};

use super::{Attempt, Context, code, declared, moved, predicate, show, type_list};
use crate::args::{
    Condition,
    circuit_breaker::{CircuitBreaker, Target},
};

/// Input: `attempt`. Output:
///
/// ```text
/// 'call: {
///     let mut permit = match breaker.try_acquire() {
///         Ok(permit) => permit,
///         Err(open) => break 'call CallResult::from_error(FromCircuitOpen::from_rejection(open)),
///     };
///     let mark = PanicMark::new(&mut permit);
///     let outcome: R = attempt;
///     mark.returned();
///     record(permit, CallResult::error(&outcome));
///     outcome
/// }
/// ```
///
/// In an `async` function it is `let outcome: R = Polled::new(&mut permit, future).await;` in the middle: the
/// attempt runs while it is polled. A panic out of it is a failure of the call, and one somewhere else is not.
///
/// The result of `try_acquire` is gone before the attempt, so that the future of an `async` function has no room in it for
/// a rejection. Where that is `asked`, as below a retry, the block gives a pair: the outcome, and how the attempt fared at the breaker.
/// A call that something inside has refused says nothing about what is called: the permit is dropped.
pub(super) fn expand(
    breaker: &CircuitBreaker,
    attempt: &Attempt,
    index: usize,
    asked: bool,
    context: &Context,
) -> Attempt {
    // A label of its own for each layer: one that shadows another draws a warning.
    let call = Lifetime::new(&format!("'call_{index}"), Span::mixed_site());
    let krate = &context.krate;
    let place = context.output_place;
    let (output, code) = (&context.output, &attempt.code);
    let end = end(breaker, context);
    let (pattern, returned, passage) = if attempt.has_passage {
        let passage = code! {
            match passage {
                #krate::__private::Disposition::LimitRejected => {
                    ::core::mem::drop(permit);
                    #krate::__private::Disposition::LimitRejected
                }
                passage => passage.or(#end),
            }
        };
        (code!((outcome, passage)), code!((#output, #krate::__private::Disposition)), passage)
    } else {
        (code!(outcome), code!(#output), end)
    };
    let admitted =
        if asked { code!({ let passage = #passage; (outcome, passage) }) } else { code!({ _ = #passage; outcome }) };
    let value = context.rejected("FromCircuitOpen", &quote_spanned!(place=> open));
    let rejected = if asked {
        code!({ let passage = #krate::__private::Disposition::CircuitRejected(open.retry_after()); (#value, passage) })
    } else {
        value
    };
    let run = if context.is_async {
        let future = attempt.future.clone().unwrap_or_else(|| code!(::core::pin::pin!(async { #code })));
        code! {
            let #pattern: #returned = #krate::__private::Polled::new(&mut permit, #future).await;
        }
    } else {
        code! {
            let mark = #krate::__private::PanicMark::new(&mut permit);
            let #pattern: #returned = #code;
            mark.returned();
        }
    };
    let target = target(breaker, krate);
    // The breaker of a key is held for the call: as long as it is, it does not leave.
    let (held, breaker) = match &breaker.key {
        Some(_) => (code!(let breaker = #target;), code!(breaker)),
        None => (TokenStream::new(), target),
    };
    let code = code! {
        #call: {
            #held
            let mut permit = match #breaker.try_acquire() {
                ::core::result::Result::Ok(permit) => permit,
                ::core::result::Result::Err(open) => break #call #rejected,
            };
            #run
            #admitted
        }
    };
    let is_limited = attempt.is_limited;
    Attempt { future: None, code, has_passage: asked, is_limited, is_scoped: attempt.is_scoped }
}

/// Tells the permit how the call ended.
fn end(breaker: &CircuitBreaker, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let place = context.output_place;
    let error = context.error();
    let outcome = quote_spanned!(place=> permit, #error);
    match &breaker.condition {
        Condition::ByType | Condition::Any => context.ask("record", &outcome),
        Condition::Types(types) => {
            let (show, types) = (show(krate, place), type_list(krate, types));
            context.ask("record_by_chain", &quote_spanned!(place=> #outcome, #show, #types))
        }
        Condition::Error(is_failure) | Condition::Value(is_failure) => {
            let is_failure = predicate(krate, is_failure);
            context.ask("record_if", &quote_spanned!(place=> #outcome, #is_failure))
        }
    }
}

/// Input: `name = "payments", failure_threshold = 3`. Output: a declaration that the registry lists, and its breaker.
fn target(breaker: &CircuitBreaker, krate: &TokenStream) -> TokenStream {
    // The location that the declaration remembers is the place of this call: the attribute, not the stack that it is in.
    let place = breaker.place;
    let here = moved(place, krate);
    let declaration = match &breaker.target {
        Target::Named { name, settings } => {
            let config = match settings {
                Some(settings) => {
                    let config = settings.config(krate);
                    code!(::core::option::Option::Some(#config))
                }
                None => code!(::core::option::Option::None),
            };
            let declaration = quote_spanned!(place=> #here::__private::Declared::named(#name, #config));
            match &breaker.max_keys {
                Some(max_keys) => quote_spanned!(place=> #declaration.max_keys(#max_keys)),
                None => declaration,
            }
        }
        Target::Static(path) => {
            // A static of another type is a mistake at its path.
            let at_path = path.span();
            let own = quote_spanned!(at_path=> &#path);
            quote_spanned!(place=> #here::__private::Declared::of(#own))
        }
        Target::Missing => return TokenStream::new(),
    };
    let declaration = match breaker.condition.text() {
        Some(text) => quote_spanned!(place=> #declaration.failure_if(#text)),
        None => declaration,
    };
    // A conflict is reported there as well.
    let get = quote_spanned!(place=> get());
    match &breaker.key {
        None => declared(&declaration, &code!(#krate::CircuitBreaker), "BREAKERS", &code!(DECLARATION.#get), krate),
        Some(key) => {
            // An error about the key's type belongs to the key, and so does a conflict.
            let at_key = key.span();
            let (path, breakers) = (moved(at_key, krate), code!(DECLARATION.#get));
            let find = quote_spanned!(at_key=> #path::__private::Key::find_in(#breakers, &(#key)));
            declared(&declaration, &code!(#krate::KeyedBreakers), "KEYED_BREAKERS", &find, krate)
        }
    }
}
