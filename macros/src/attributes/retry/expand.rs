//! `#[retry]` as a layer: a loop around the call.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::{Expr, Lifetime, PathArguments, Type, spanned::Spanned};

use super::{options::Retry, policy};
use crate::{
    attributes::Position,
    codegen::{
        context::{Call, Context},
        dispatch::{as_error, as_error_if_any, closure_call, predicate, type_list, verdict_of},
        spans::{located_at, quote_mixed},
    },
    item::arguments::{Argument, Rebind},
    syntax::condition::Condition,
};

/// Input: `call`. Output:
///
/// ```text
/// let mut attempts = Attempts::of_task(const { &policy });
/// loop {
///     let (last, delay) = {
///         let outcome: R = call;
///         let outcome: R = match CallResult::into_result(outcome) {
///             Ok(success) => { attempts.succeed(attempts.policy()); break CallResult::from_value(success); }
///             Err(error) => CallResult::from_error(error),
///         };
///         let verdict = verdict_by_type(CallResult::error(&outcome), verdict_of);
///         match attempts.delay_after(outcome, verdict, Disposition::Called, error_view) {
///             Ok((outcome, delay)) => ((&OutcomeProbe(&outcome)).storage().store(outcome, attempts.can_be_stopped()), delay),
///             Err(outcome) => break outcome,
///         }
///     };
///     attempts.pause(delay).await;
///     if let Some(outcome) = attempts.ends_with(last) { break outcome; }
/// }
/// ```
///
/// A stop signal can end the sleep; then the last outcome is returned. An outcome that is not `Send` is dropped before the sleep, since it
/// would make the future not `Send`; with `stop_on` it is kept nevertheless. A single attempt needs no loop and may move its arguments.
/// In a function that is not `async` and has no hook, `attempts.sleep_after` does all the work after a failed attempt.
pub(super) fn expand(retry: &Retry, call: &Call, position: Position, context: &mut Context) -> Call {
    let krate = context.krate.clone();
    let (begin, policy) = (begin(retry, context), current_policy(context));
    let verdict = verdict(retry, call, context);
    let (outcome, disposition) = outcome(call, context);
    let error = error_view(retry, context);
    let succeed = if context.is_async { quote_mixed!(succeed) } else { quote_mixed!(succeed_on_thread) };
    let label = retry.is_single().then(|| Lifetime::new(&format!("'attempt_{}", position.index), Span::mixed_site()));
    let judged = judged(retry, call, &quote_mixed!(attempts.#succeed(#policy);), label.as_ref(), &verdict, context);
    if let Some(label) = label {
        let code = &call.code;
        let code = quote_mixed! {
            #begin
            #label: {
                let #outcome = #code;
                #judged
                match attempts.delay_after(outcome, verdict, #disposition, #error) {
                    ::core::result::Result::Ok((outcome, _)) | ::core::result::Result::Err(outcome) => outcome,
                }
            }
        };
        return complete(&code, call.is_scoped);
    }
    let code = match (&call.code, call.is_scoped) {
        (code, true) => code.clone(),
        // The future is pinned in place, so that it is not moved.
        (code, false) if context.is_async => quote_mixed!(attempts.scope(::core::pin::pin!(async { #code })).await),
        (code, false) => quote_mixed!(attempts.within(#policy, || #code)),
    };
    let (slots, bindings) = rebind(context);
    let delay = delay(retry, call.has_disposition, context);
    let (signal, stop) = retry.stop_on.as_ref().map(|stop| stop_signal(stop, &krate)).unzip();
    let attempted = quote_mixed! {
        #bindings
        let #outcome = #code;
        #judged
    };
    let judged = quote_mixed! {
        #attempted
        match attempts.delay_after(outcome, verdict, #disposition, #error)
    };
    let attempt = match (context.is_async, &stop) {
        (false, _) if retry.hook.is_none() => quote_mixed! {
            #attempted
            if let ::core::option::Option::Some(outcome) = attempts.sleep_after(outcome, verdict, #disposition, #error) {
                break outcome;
            }
        },
        (true, None) => quote_mixed! {
            let (last, delay) = {
                #judged {
                    ::core::result::Result::Ok((outcome, delay)) => {
                        let delay = #delay;
                        #[allow(unused_imports)]
                        use #krate::__private::{LocalOutcome as _, SendOutcome as _};
                        ((&#krate::__private::OutcomeProbe(&outcome)).storage().store(outcome, attempts.can_be_stopped()), delay)
                    }
                    ::core::result::Result::Err(outcome) => break outcome,
                }
            };
            attempts.pause(delay).await;
            if let ::core::option::Option::Some(outcome) = attempts.ends_with(last) {
                break outcome;
            }
        },
        (is_async, _) => {
            let is_stopped = if is_async {
                quote_mixed!({
                    attempts.pause(delay).await;
                    attempts.ends()
                })
            } else {
                quote_mixed!(attempts.pause_thread(delay))
            };
            quote_mixed! {
                let (outcome, delay) = {
                    #judged {
                        ::core::result::Result::Ok((outcome, delay)) => { let delay = #delay; (outcome, delay) }
                        ::core::result::Result::Err(outcome) => break outcome,
                    }
                };
                if #is_stopped {
                    break outcome;
                }
            }
        }
    };
    let code = quote_mixed! {
        #signal
        #begin
        #stop
        #slots
        loop {
            #attempt
        }
    };
    // The arguments are `mut` only inside this loop. An outer retry binds its own copies without `mut`.
    context.inputs.end_changes();
    complete(&code, false)
}

/// The statements that end the call with a successful outcome, by `succeed`, and judge any other.
fn judged(
    retry: &Retry,
    call: &Call,
    succeed: &TokenStream,
    label: Option<&Lifetime>,
    verdict: &TokenStream,
    context: &Context,
) -> TokenStream {
    let (krate, output) = (&context.krate, &context.output);
    // A call that must not be retried ends with its failure.
    let ends = retry.enabled.is_some().then(|| quote_mixed!(let verdict = verdict.retried_if(is_enabled);));
    if let Condition::Value(_) = &retry.condition {
        return quote_mixed! {
            let verdict = #verdict;
            if verdict == #krate::__private::Verdict::Success {
                #succeed
                break #label outcome;
            }
            #ends
        };
    }
    let success = if call.has_disposition && call.has_made_values {
        // The option `rejection` may have made a success of a rejected call.
        let succeed = quote_mixed!(if disposition.is_called() { #succeed break #label outcome; });
        [TokenStream::new(), quote_mixed!(#succeed outcome)]
    } else {
        [succeed.clone(), quote_mixed!(break #label outcome)]
    };
    let outcome = context.match_outcome(success, [TokenStream::new(), quote_mixed!(outcome)]);
    quote_mixed! {
        let outcome: #output = #outcome;
        let verdict = #verdict;
        #ends
    }
}

/// The pattern and type of the value of the call, and the expression for its disposition.
fn outcome(call: &Call, context: &Context) -> (TokenStream, TokenStream) {
    let (krate, output) = (&context.krate, &context.output);
    if call.has_disposition {
        (quote_mixed!((outcome, disposition): (#output, #krate::__private::Disposition)), quote_mixed!(disposition))
    } else {
        (quote_mixed!(outcome: #output), quote_mixed!(#krate::__private::Disposition::Called))
    }
}

/// The code as the block of a new call, without a disposition.
fn complete(code: &TokenStream, is_scoped: bool) -> Call {
    let code = quote_mixed!({ #code });
    Call { future: None, code, has_disposition: false, is_limited: false, has_made_values: false, is_scoped }
}

/// The variable that counts the attempts. In a function that is not `async` the policy is a variable as well, so that the compiler can
/// treat the policy as a constant on the success path; a future would have to store the variable.
fn begin(retry: &Retry, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let (own, policy) = (policy::own(retry, context), policy::reference(retry, context));
    if context.is_async {
        return quote_mixed! {
            #own
            let mut attempts = #krate::__private::Attempts::of_task(#policy);
        };
    }
    quote_mixed! {
        #own
        let policy = #policy;
        let mut attempts = #krate::__private::Attempts::of_thread(policy);
    }
}

/// The expression for the policy of the attempts.
fn current_policy(context: &Context) -> TokenStream {
    if context.is_async { quote_mixed!(attempts.policy()) } else { quote_mixed!(policy) }
}

/// The delay before the next attempt. A hook is called first, unless no attempt follows.
///
/// | `on_retry` | output |
/// | --- | --- |
/// | none | `delay` |
/// | a hook | `{ on_retry(CallResult::error(&outcome), \|error\| retry_hook(attempts.made(), delay, error, hook)); delay }` |
/// | a hook, with `retry_if_result` | `{ retry_hook(attempts.made(), delay, &outcome, hook); delay }` |
///
/// A hook that takes the elapsed time is called by `timed_retry_hook`.
fn delay(retry: &Retry, has_disposition: bool, context: &Context) -> TokenStream {
    let Some(hook) = &retry.hook else { return quote_mixed!(delay) };
    let krate = &context.krate;
    let call = |value| {
        if retry.is_timed() {
            let arguments = quote_mixed!(attempts.made(), delay, #value, attempts.elapsed(),);
            closure_call("timed_retry_hook", &arguments, hook, krate)
        } else {
            closure_call("retry_hook", &quote_mixed!(attempts.made(), delay, #value,), hook, krate)
        }
    };
    let call = match &retry.condition {
        Condition::Value(_) => {
            let call = call(quote_mixed!(&outcome));
            quote_mixed!(#call;)
        }
        _ => {
            let (error, call) = (context.outcome_error(), call(quote_mixed!(error)));
            quote_mixed!(#krate::__private::on_retry(#error, |error| #call);)
        }
    };
    let call = if has_disposition { quote_mixed!(if disposition.can_admit_after(delay) { #call }) } else { call };
    quote_mixed!({
        #call
        delay
    })
}

/// Input: `TOKEN`. Output: `let stop: &dyn Stop = &TOKEN;`, which precedes the variable `attempts`, so that a temporary value in the
/// expression outlives it; and `attempts.stop_on(stop);`. A type that does not implement `Stop` is reported at the expression.
fn stop_signal(stop: &Expr, krate: &TokenStream) -> (TokenStream, TokenStream) {
    let span = Span::mixed_site().located_at(stop.span());
    let krate = located_at(span, krate);
    let reference = quote_spanned!(span=> &#stop);
    // The type is not expected in the expression itself: a temporary value of an expression that is coerced would end with the statement.
    let own = Ident::new("stop", span);
    let signal = quote_mixed! {
        let stop = #reference;
        let stop: &dyn #krate::Stop = #own;
    };
    (signal, quote_mixed!(attempts.stop_on(stop);))
}

/// The judgement of the outcome: a success, or a failure that may be worth another attempt.
fn verdict(retry: &Retry, call: &Call, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let span = context.output_span;
    let error = context.outcome_error();
    let verdict = match &retry.condition {
        Condition::Default => {
            let verdict = verdict_of(context);
            context.outcome_call("verdict_by_type", &quote_spanned!(span=> #error, #verdict))
        }
        Condition::Any => {
            let as_error = as_error_if_any(krate);
            context.outcome_call("verdict_by_any", &quote_spanned!(span=> #error, #as_error))
        }
        Condition::Types(types) => {
            let (as_error, types) = (as_error(context), type_list(krate, types));
            context.outcome_call("verdict_by_chain", &quote_spanned!(span=> #error, #as_error, #types))
        }
        Condition::Error(closure) => {
            let as_error = as_error_if_any(krate);
            let predicate = match attempt_number(closure) {
                Some(number) => {
                    let call = closure_call("attempt_predicate", &quote_mixed!(error, #number,), closure, krate);
                    quote_mixed!(|error| #call)
                }
                None => predicate(krate, closure),
            };
            context.outcome_call("verdict_by_error", &quote_spanned!(span=> #error, #predicate, #as_error))
        }
        Condition::Value(closure) => {
            let should_retry = match attempt_number(closure) {
                Some(number) => closure_call("attempt_predicate", &quote_mixed!(&outcome, #number,), closure, krate),
                None => closure_call("predicate", &quote_mixed!(&outcome,), closure, krate),
            };
            context.outcome_call("verdict_by_result", &should_retry)
        }
    };
    if !call.has_disposition {
        return verdict;
    }
    // A rejection by a breaker below is not retried, even if its error is transient, unless the condition names its type.
    let types = retry.condition.types();
    let is_wanted = if types.is_empty() {
        quote_mixed!(false)
    } else {
        let types = type_list(krate, types);
        quote_mixed!(#krate::__private::includes_circuit_open(#types))
    };
    // A call that a limit rejected counts as a rejection as well, unless its verdict is to retry.
    let others = if call.is_limited {
        quote_mixed!(disposition => disposition.adjust(#verdict),)
    } else {
        quote_mixed!(_ => #verdict,)
    };
    quote_mixed! {
        match disposition {
            #krate::__private::Disposition::CircuitRejected(wait) => #krate::__private::Verdict::rejected(wait, #is_wanted),
            #others
        }
    }
}

/// A closure that returns the error in an outcome as far as events need it: its text, if its type implements `Display`. A custom backoff
/// gets the error itself as well, if its type implements `Error` and is `'static`.
fn error_view(retry: &Retry, context: &Context) -> TokenStream {
    let krate = &context.krate;
    let is_custom = retry.backoff.as_ref().is_some_and(|backoff| backoff.is_custom);
    let with_error = (is_custom && may_be_static(context))
        .then(|| quote_mixed!(.with_error((&&#krate::__private::Probe(outcome)).outcome_error())));
    quote_mixed!(|outcome| {
        #[allow(unused_imports)]
        use #krate::__private::{
            DisplayError as _, NoDisplay as _, NoOutcomeError as _, OutcomeDeref as _, OutcomeError as _,
        };
        #krate::__private::ErrorView::of_display((&&#krate::__private::Probe(outcome)).error_display()) #with_error
    })
}

/// Returns false if the tokens of the error type contain a lifetime or a type parameter. Autoref specialization ignores lifetimes: it would
/// select a type that is not `'static` as well, and the function would not compile.
fn may_be_static(context: &Context) -> bool {
    let error = match syn::parse2(context.output.clone()) {
        Ok(Type::Path(output)) => match output.path.segments.last().map(|segment| &segment.arguments) {
            Some(PathArguments::AngleBracketed(arguments)) if arguments.args.len() > 1 => {
                arguments.args.last().map(ToTokens::to_token_stream)
            }
            _ => None,
        },
        _ => None,
    };
    !refers_to_parameter(error.unwrap_or_else(|| context.output.clone()), &context.type_parameters)
}

/// Returns true if the tokens contain a lifetime other than `'static`, one of the type `parameters` of the function, `Self`, or an identifier
/// that is a single uppercase letter, which the type parameters of an `impl` usually are.
fn refers_to_parameter(tokens: TokenStream, parameters: &[Ident]) -> bool {
    let mut is_lifetime = false;
    tokens.into_iter().any(|token| {
        let was_lifetime = std::mem::take(&mut is_lifetime);
        match token {
            TokenTree::Group(group) => refers_to_parameter(group.stream(), parameters),
            TokenTree::Punct(punct) => {
                is_lifetime = punct.as_char() == '\'';
                false
            }
            TokenTree::Ident(name) if was_lifetime => name != "static",
            TokenTree::Ident(name) => {
                name == "Self"
                    || parameters.contains(&name)
                    || matches!(*name.to_string().as_bytes(), [letter] if letter.is_ascii_uppercase())
            }
            TokenTree::Literal(_) => false,
        }
    })
}

/// The number of the attempt, if the predicate is a closure with that parameter: `|error, attempt| ...`.
fn attempt_number(predicate: &Expr) -> Option<TokenStream> {
    match predicate {
        Expr::Closure(closure) if closure.inputs.len() == 2 => Some(quote_mixed!(attempts.made().saturating_add(1))),
        _ => None,
    }
}

/// The statements that rebind the arguments: those before the loop, and those at the start of each attempt.
///
/// | rebind | before the loop | each attempt |
/// | --- | --- | --- |
/// | clone | `let mut argument_0 = Some(a);` | `let a = CloneArgument::for_attempt(&mut argument_0, is_last);` |
/// | clone or lend | `let mut argument_0 = Some(a);` | `let mut a = (&&LendProbe(&argument_0)).kind().for_attempt(&mut argument_0, is_last);` |
/// | reborrow | | `let a = &mut *a;` |
/// | copy | | `let a = a;` |
/// | repin | `let mut argument_0 = a;` | `let a = argument_0.as_mut();` |
fn rebind(context: &Context) -> (TokenStream, TokenStream) {
    let (krate, policy) = (&context.krate, current_policy(context));
    let (mut slots, mut bindings) = (context.check_consumed_self(), TokenStream::new());
    for (index, argument) in context.inputs.rebound.iter().enumerate() {
        let Argument { name, mutability, cfgs, rebind, .. } = argument;
        // A type that is not `Clone` is reported at the argument.
        let span = Span::mixed_site().located_at(name.span());
        let slot = format_ident!("argument_{index}", span = span);
        let own = match rebind {
            Rebind::Clone => {
                slots.extend(quote_mixed!(#(#cfgs)* let mut #slot = ::core::option::Option::Some(#name);));
                let krate = located_at(span, krate);
                quote_spanned!(span=>
                    #krate::__private::CloneArgument::for_attempt(&mut #slot, attempts.is_last(#policy))
                )
            }
            Rebind::CloneOrLend => {
                slots.extend(quote_mixed!(#(#cfgs)* let mut #slot = ::core::option::Option::Some(#name);));
                quote_mixed!({
                    #[allow(unused_imports)]
                    use #krate::__private::{ByClone as _, ByLoan as _};
                    (&&#krate::__private::LendProbe(&#slot)).kind().for_attempt(&mut #slot, attempts.is_last(#policy))
                })
            }
            Rebind::Reborrow => quote_mixed!(&mut *#name),
            Rebind::Copy => quote_mixed!(#name),
            Rebind::Repin => {
                slots.extend(quote_mixed!(#(#cfgs)* let mut #slot = #name;));
                quote_mixed!(#slot.as_mut())
            }
        };
        let allow = context.inputs.lint_of_mut(argument);
        bindings.extend(quote_mixed!(#(#cfgs)* #allow let #mutability #name = #own;));
    }
    (slots, bindings)
}
