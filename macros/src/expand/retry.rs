//! `#[retry]` as a layer.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::spanned::Spanned;

use super::{Attempt, Context, at, code, judge, look, show, type_list};
use crate::{
    args::{Condition, retry::Retry},
    arguments::{Argument, Supply},
};

/// Input: `attempt`. Output:
///
/// ```text
/// let mut attempts = Attempts::of_task(const { &policy });
/// loop {
///     let delay = {
///         let outcome: R = attempt;
///         match attempts.after(by_type(&outcome, judge)) {
///             Some(delay) => delay,
///             None => break outcome,
///         }
///     };
///     pause(delay).await;
/// }
/// ```
///
/// The outcome is gone before the sleep, so that an error that is not `Send` does not make the future so. A single
/// attempt needs no loop, and so can move what it likes.
pub(super) fn expand(retry: &Retry, attempt: &Attempt, context: &mut Context) -> Attempt {
    let krate = context.krate.clone();
    let policy = policy(retry, &krate, &context.function);
    let attempts = if context.is_async { code!(of_task) } else { code!(of_thread) };
    let (output, code) = (&context.output, &attempt.code);
    let verdict = verdict(retry, attempt.has_passage, context);
    let outcome = if attempt.has_passage {
        code!((outcome, passage): (#output, #krate::__private::Passage))
    } else {
        code!(outcome: #output)
    };
    if retry.is_single() {
        let code = code! {
            let mut attempts = #krate::__private::Attempts::#attempts(#policy);
            let #outcome = #code;
            _ = attempts.after(#verdict);
            outcome
        };
        return Attempt { code: code!({ #code }), has_passage: false };
    }
    let (slots, arguments) = context.arguments();
    let delay = if attempt.has_passage { code!(passage.shorten(delay)) } else { code!(delay) };
    let scheduled = match &retry.hook {
        Some(hook) => {
            // A hook of another type is a mistake of its own.
            let place = hook.span();
            let tell = match &retry.condition {
                Condition::Value(_) => quote_spanned!(place=> on_retry_value),
                _ => quote_spanned!(place=> on_retry),
            };
            code!({
                let delay = #delay;
                #krate::__private::#tell(&outcome, attempts.made(), delay, #hook);
                delay
            })
        }
        None => delay,
    };
    let pause = if context.is_async { code!(pause(delay).await) } else { code!(pause_thread(delay)) };
    let code = code! {
        let mut attempts = #krate::__private::Attempts::#attempts(#policy);
        #slots
        loop {
            let delay = {
                #arguments
                let #outcome = #code;
                match attempts.after(#verdict) {
                    ::core::option::Option::Some(delay) => #scheduled,
                    ::core::option::Option::None => break outcome,
                }
            };
            #krate::__private::#pause;
        }
    };
    // An outer retry prepares its own copies; it leaves the names themselves as they are.
    context.arguments.needed.iter_mut().for_each(|argument| argument.mutability = None);
    Attempt { code: code!({ #code }), has_passage: false }
}

/// The policy, by reference. One with a name is listed, so that it can be found and replaced.
fn policy(retry: &Retry, krate: &TokenStream, function: &str) -> TokenStream {
    let policy = retry.policy(krate, function);
    let Some(name) = &retry.name else {
        if retry.refers_to_static() {
            // A constant can't refer to a static that changes.
            return code!({ static POLICY: #krate::RetryPolicy = #policy; &POLICY });
        }
        return code!(const { &#policy });
    };
    code! {
        {
            static POLICY: #krate::__private::NamedPolicy = #krate::__private::NamedPolicy::new(#name, #policy);
            #[#krate::__private::linkme::distributed_slice(#krate::__private::POLICIES)]
            #[linkme(crate = #krate::__private::linkme)]
            static LISTED: &#krate::__private::NamedPolicy = &POLICY;
            POLICY.current()
        }
    }
}

/// What the outcome means.
fn verdict(retry: &Retry, has_passage: bool, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let place = context.output_place;
    let outcome = quote_spanned!(place=> &outcome);
    let verdict = match &retry.condition {
        Condition::ByType => {
            let judge = judge(krate, place);
            context.ask("by_type", &quote_spanned!(place=> #outcome, #judge))
        }
        Condition::Any => {
            let look = look(krate);
            context.ask("by_any", &quote_spanned!(place=> #outcome, #look))
        }
        Condition::Types(types) => {
            let (show, types) = (show(krate, place), type_list(krate, types));
            context.ask("by_chain", &quote_spanned!(place=> #outcome, #show, #types))
        }
        Condition::Error(predicate) => {
            let look = look(krate);
            context.ask("by_error", &quote_spanned!(place=> #outcome, #predicate, #look))
        }
        Condition::Value(predicate) => context.ask("by_value", &quote_spanned!(place=> #outcome, #predicate)),
    };
    if !has_passage {
        return verdict;
    }
    // A rejection by a breaker inside is not retried, whatever the error type makes of it, unless it is asked for by
    // its own type.
    let types = retry.condition.types();
    let wanted = if types.is_empty() {
        code!(false)
    } else {
        let types = type_list(krate, types);
        code!(#krate::__private::wants_rejection(#types))
    };
    code! {
        match passage {
            #krate::__private::Passage::Rejected(wait) => #krate::__private::Verdict::rejected(wait, #wanted),
            _ => #verdict,
        }
    }
}

impl Context {
    /// For each argument that is bound again, what stands outside of the loop and what inside of it.
    fn arguments(&self) -> (TokenStream, TokenStream) {
        let krate = &self.krate;
        let (mut slots, mut bindings) = (TokenStream::new(), TokenStream::new());
        if let Some(place) = self.arguments.self_used_up {
            let this = Ident::new("self", place);
            let place = Span::mixed_site().located_at(place);
            let krate = at(place, krate);
            slots.extend(quote_spanned!(place=> #krate::__private::used_up(&#this);));
        }
        for (index, Argument { name, mutability, cfgs, supply }) in self.arguments.needed.iter().enumerate() {
            // What is no `Clone` is reported at the argument.
            let place = Span::mixed_site().located_at(name.span());
            let slot = format_ident!("argument_{index}", span = place);
            let own = match supply {
                Supply::Clone => {
                    slots.extend(code!(#(#cfgs)* let mut #slot = #krate::__private::Argument::new(#name);));
                    quote_spanned!(place=> #slot.next(attempts.is_last()))
                }
                Supply::Reborrow => code!(&mut *#name),
                Supply::Copy => code!(#name),
                Supply::Repin => {
                    slots.extend(code!(#(#cfgs)* let mut #slot = #name;));
                    code!(#slot.as_mut())
                }
            };
            bindings.extend(code!(#(#cfgs)* let #mutability #name = #own;));
        }
        (slots, bindings)
    }
}
