//! `#[retry]` as a layer.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::{Expr, spanned::Spanned};

use super::{Attempt, Context, at, closure_call, code, judge, look, predicate, scoped, show, type_list};
use crate::{
    args::{Condition, retry::Retry},
    arguments::{Argument, Supply},
};

/// Input: `attempt`. Output:
///
/// ```text
/// let mut attempts = Attempts::of_task(const { &policy });
/// loop {
///     let (last, delay) = {
///         let outcome: R = attempt;
///         match attempts.after(attempts.policy(), verdict_by_type(CallResult::error(&outcome), judge), Disposition::Called) {
///             Some(delay) => ((&OutcomeProbe(&outcome)).storage().store(outcome, attempts.can_be_stopped()), delay),
///             None => break outcome,
///         }
///     };
///     attempts.pause(delay).await;
///     if let Some(outcome) = attempts.ends_with(last) { break outcome; }
/// }
/// ```
///
/// A signal can end the sleep, and then the outcome is returned. One that is not `Send` is gone before, since it would make the future not
/// `Send`; with a signal of its own, the retry keeps it all the same. A single attempt needs no loop, and so can move what it likes.
/// Without a hook, `again` does all that follows the attempt in a function that is not `async`.
pub(super) fn expand(retry: &Retry, attempt: &Attempt, context: &mut Context) -> Attempt {
    let krate = context.krate.clone();
    let (begin, by) = (begin(retry, context), context.policy());
    let output = &context.output;
    let verdict = verdict(retry, attempt, context);
    let passage = if attempt.has_passage { code!(passage) } else { code!(#krate::__private::Disposition::Called) };
    let outcome = if attempt.has_passage {
        code!((outcome, passage): (#output, #krate::__private::Disposition))
    } else {
        code!(outcome: #output)
    };
    if retry.is_single() {
        let code = &attempt.code;
        let code = code! {
            #begin
            let #outcome = #code;
            _ = attempts.after(#by, #verdict, #passage);
            outcome
        };
        return Attempt {
            future: None,
            code: code!({ #code }),
            has_passage: false,
            is_limited: false,
            is_scoped: attempt.is_scoped,
        };
    }
    let code = match (&attempt.code, attempt.is_scoped) {
        (code, true) => code.clone(),
        (code, false) if context.is_async => scoped(&code!(async { #code })),
        (code, false) => code!(attempts.within(#by, || #code)),
    };
    let (slots, arguments) = context.arguments();
    let delay = scheduled(retry, attempt.has_passage, context);
    let stop = retry.stop_on.as_ref().map(|stop| stop_signal(stop, &krate));
    let scheduled = code! {
        #arguments
        let #outcome = #code;
        match attempts.after(#by, #verdict, #passage)
    };
    let attempt = match (context.is_async, &stop) {
        (false, _) if retry.hook.is_none() => code! {
            #arguments
            let #outcome = #code;
            if !attempts.again(#by, #verdict, #passage) {
                break outcome;
            }
        },
        (true, None) => code! {
            let (last, delay) = {
                #scheduled {
                    ::core::option::Option::Some(delay) => {
                        let delay = #delay;
                        #[allow(unused_imports)]
                        use #krate::__private::{LocalOutcome as _, SendOutcome as _};
                        ((&#krate::__private::OutcomeProbe(&outcome)).storage().store(outcome, attempts.can_be_stopped()), delay)
                    }
                    ::core::option::Option::None => break outcome,
                }
            };
            attempts.pause(delay).await;
            if let ::core::option::Option::Some(outcome) = attempts.ends_with(last) {
                break outcome;
            }
        },
        (is_async, _) => {
            let ends = if is_async {
                code!({
                    attempts.pause(delay).await;
                    attempts.ends()
                })
            } else {
                code!(attempts.pause_thread(delay))
            };
            code! {
                let (outcome, delay) = {
                    #scheduled {
                        ::core::option::Option::Some(delay) => { let delay = #delay; (outcome, delay) }
                        ::core::option::Option::None => break outcome,
                    }
                };
                if #ends {
                    break outcome;
                }
            }
        }
    };
    let code = code! {
        #begin
        #stop
        #slots
        loop {
            #attempt
        }
    };
    // An outer retry prepares its own copies; it leaves the names themselves as they are.
    context.arguments.needed.iter_mut().for_each(|argument| argument.mutability = None);
    Attempt { future: None, code: code!({ #code }), has_passage: false, is_limited: false, is_scoped: false }
}

/// The delay before the next attempt, told to the hook if there is one to wait for.
fn scheduled(retry: &Retry, has_passage: bool, context: &Context) -> TokenStream {
    let Some(hook) = &retry.hook else { return code!(delay) };
    let krate = &context.krate;
    let call = |value| {
        if retry.is_timed() {
            let arguments = code!(attempts.made(), delay, #value, attempts.elapsed(),);
            closure_call("timed_retry_hook", &arguments, hook, krate)
        } else {
            closure_call("retry_hook", &code!(attempts.made(), delay, #value,), hook, krate)
        }
    };
    let tell = match &retry.condition {
        Condition::Value(_) => {
            let call = call(code!(&outcome));
            code!(#call;)
        }
        _ => {
            let (error, call) = (context.error(), call(code!(error)));
            code!(#krate::__private::on_retry(#error, |error| #call);)
        }
    };
    let tell = if has_passage { code!(if passage.is_worth(delay) { #tell }) } else { tell };
    code!({
        #tell
        delay
    })
}

/// Input: `TOKEN`. Output: `let stop: &dyn Stop = &TOKEN; attempts.stop_on(stop);`. That it is no signal is reported at its place.
fn stop_signal(stop: &Expr, krate: &TokenStream) -> TokenStream {
    let place = Span::mixed_site().located_at(stop.span());
    let krate = at(place, krate);
    let reference = quote_spanned!(place=> &#stop);
    code! {
        let stop: &dyn #krate::Stop = #reference;
        attempts.stop_on(stop);
    }
}

/// Where the attempts are counted. In a function that is not `async` the policy stays at hand as a constant, so that the compiler
/// knows on the path of a success what it asks for. A future would have to keep it.
fn begin(retry: &Retry, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let policy = policy(retry, krate, &context.function);
    if context.is_async {
        return code!(let mut attempts = #krate::__private::Attempts::of_task(#policy););
    }
    code! {
        let policy = #policy;
        let mut attempts = #krate::__private::Attempts::of_thread(policy);
    }
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
            static STATISTICS: #krate::__private::Statistics = #krate::__private::Statistics::new();
            static POLICY: #krate::__private::NamedPolicy =
                #krate::__private::NamedPolicy::new(#name, #policy, &STATISTICS);
            #[#krate::__private::linkme::distributed_slice(#krate::__private::POLICIES)]
            #[linkme(crate = #krate::__private::linkme)]
            static LISTED: &#krate::__private::NamedPolicy = &POLICY;
            POLICY.current()
        }
    }
}

/// What the outcome means.
fn verdict(retry: &Retry, attempt: &Attempt, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let place = context.output_place;
    let error = context.error();
    let verdict = match &retry.condition {
        Condition::ByType => {
            let judge = judge(krate, place);
            context.ask("verdict_by_type", &quote_spanned!(place=> #error, #judge))
        }
        Condition::Any => {
            let look = look(krate);
            context.ask("verdict_by_any", &quote_spanned!(place=> #error, #look))
        }
        Condition::Types(types) => {
            let (show, types) = (show(krate, place), type_list(krate, types));
            context.ask("verdict_by_chain", &quote_spanned!(place=> #error, #show, #types))
        }
        Condition::Error(retry_if) => {
            let look = look(krate);
            let retry_if = match number(retry_if) {
                Some(number) => {
                    let call = closure_call("attempt_predicate", &code!(error, #number,), retry_if, krate);
                    code!(|error| #call)
                }
                None => predicate(krate, retry_if),
            };
            context.ask("verdict_by_error", &quote_spanned!(place=> #error, #retry_if, #look))
        }
        Condition::Value(retry_if) => {
            let retry_if = match number(retry_if) {
                Some(number) => closure_call("attempt_predicate", &code!(&outcome, #number,), retry_if, krate),
                None => closure_call("predicate", &code!(&outcome,), retry_if, krate),
            };
            context.ask("verdict_by_result", &retry_if)
        }
    };
    if !attempt.has_passage {
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
    // What a limit refuses is a rejection as well, unless it is worth another attempt.
    let others = match (attempt.is_limited, &retry.condition) {
        (false, _) => code!(_ => #verdict,),
        (true, Condition::Value(_)) => code!(passage => passage.judge_value(#verdict),),
        (true, _) => code!(passage => passage.judge(#verdict),),
    };
    code! {
        match passage {
            #krate::__private::Disposition::CircuitRejected(wait) => #krate::__private::Verdict::rejected(wait, #wanted),
            #others
        }
    }
}

/// The number of the attempt, if the predicate is a closure that takes it as well: `|error, attempt| ...`.
fn number(predicate: &Expr) -> Option<TokenStream> {
    match predicate {
        Expr::Closure(closure) if closure.inputs.len() == 2 => Some(code!(attempts.made().saturating_add(1))),
        _ => None,
    }
}

impl Context {
    /// The policy, once the attempts have begun.
    pub(super) fn policy(&self) -> TokenStream {
        if self.is_async { code!(attempts.policy()) } else { code!(policy) }
    }

    /// For each argument that is bound again, what stands outside of the loop and what inside of it.
    fn arguments(&self) -> (TokenStream, TokenStream) {
        let (krate, by) = (&self.krate, self.policy());
        let (mut slots, mut bindings) = (self.used_up(), TokenStream::new());
        for (index, Argument { name, mutability, cfgs, supply, .. }) in self.arguments.needed.iter().enumerate() {
            // What is no `Clone` is reported at the argument.
            let place = Span::mixed_site().located_at(name.span());
            let slot = format_ident!("argument_{index}", span = place);
            let own = match supply {
                Supply::Clone => {
                    slots.extend(code!(#(#cfgs)* let mut #slot = ::core::option::Option::Some(#name);));
                    let krate = at(place, krate);
                    quote_spanned!(place=>
                        #krate::__private::CloneArgument::for_attempt(&mut #slot, attempts.is_last(#by))
                    )
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
