//! `#[fallback]` as a layer.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::{Expr, ExprClosure, ExprField, Lifetime, spanned::Spanned};

use super::{Attempt, Context, at, code, look, predicate, show, type_list};
use crate::{
    args::{
        Condition,
        fallback::{Fallback, Step},
        name_or_path,
    },
    arguments::{Argument, Supply},
    captures::mentions,
    moves::Moved,
};

/// Input: `attempt`. Output, for a function and a closure:
///
/// ```text
/// 'fallback: {
///     {
///         let outcome: R = attempt;
///         if !is_failure(CallResult::error(&outcome)) { break 'fallback outcome; }
///         emit_fallback(CallResult::error(&outcome), "function", "cached", look);
///     }
///     let error = {
///         let outcome: R = cached(arguments);
///         if !is_failure(CallResult::error(&outcome)) { break 'fallback outcome; }
///         emit_fallback(CallResult::error(&outcome), "function", "a closure", look);
///         match CallResult::into_error(outcome) { Ok(error) => error, Err(outcome) => break 'fallback outcome }
///     };
///     let outcome: R = fallback_closure(error, closure);
///     outcome
/// }
/// ```
///
/// A failure is gone before the next function is called, so that an error that is not `Send` does not make the future so.
pub(super) fn expand(fallback: &Fallback, attempt: &Attempt, index: usize, context: &mut Context) -> Attempt {
    let krate = context.krate.clone();
    // A label of its own for each layer: one that shadows another draws a warning.
    let label = Lifetime::new(&format!("'fallback_{index}"), Span::mixed_site());
    let (slots, bindings) = context.kept_arguments(fallback);
    let (output, call) = (&context.output, &attempt.code);
    let (mut outcome, mut value) = if attempt.has_passage {
        (code!((outcome, passage): (#output, #krate::__private::Disposition)), code!((outcome, passage)))
    } else {
        (code!(outcome: #output), code!(outcome))
    };
    // How the attempt fared at a breaker is of no interest once another function has answered.
    let answered =
        if attempt.has_passage { code!((outcome, #krate::__private::Disposition::Called)) } else { code!(outcome) };
    let failed = failed(fallback, context);
    let (mut call, mut steps) = (code!({ #bindings #call }), TokenStream::new());
    // A function in place of a closure would be called with the arguments, not with the error.
    let mut quiet = TokenStream::new();
    for (position, step) in fallback.steps.iter().enumerate() {
        let tell = tell(step, context);
        let fails = code! {
            #quiet
            let #outcome = #call;
            if !#failed {
                break #label #value;
            }
            #tell
        };
        steps.extend(if step.is_closure() {
            code! {
                let error = {
                    #fails
                    match #krate::__private::CallResult::into_error(outcome) {
                        ::core::result::Result::Ok(error) => error,
                        ::core::result::Result::Err(outcome) => break #label #value,
                    }
                };
            }
        } else {
            code!({ #fails })
        });
        call = answer(step, position + 1 == fallback.steps.len(), context);
        (outcome, value) = (code!(outcome: #output), answered.clone());
        quiet = if step.is_closure() {
            code!(#[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)])
        } else {
            TokenStream::new()
        };
    }
    let code = code! {
        #label: {
            #slots
            #steps
            #quiet
            let #outcome = #call;
            #answered
        }
    };
    context.arguments.needed.iter_mut().for_each(|argument| argument.mutability = None);
    if fallback.gets_arguments() {
        context.arguments.give_away(&context.passed);
    }
    Attempt { future: None, code, ..*attempt }
}

/// Whether the outcome is one that the next function is called for.
fn failed(fallback: &Fallback, context: &Context) -> TokenStream {
    let (krate, place) = (&context.krate, context.output_place);
    let error = context.error();
    match &fallback.condition {
        Condition::ByType | Condition::Any => context.ask("is_failure", &error),
        Condition::Types(types) => {
            let (show, types) = (show(krate, place), type_list(krate, types));
            context.ask("is_failure_by_chain", &quote_spanned!(place=> #error, #show, #types))
        }
        Condition::Error(is_failure) | Condition::Value(is_failure) => {
            let is_failure = predicate(krate, is_failure);
            context.ask("is_failure_if", &quote_spanned!(place=> #error, #is_failure))
        }
    }
}

/// Tells that a step is taken.
fn tell(step: &Step, context: &Context) -> TokenStream {
    let (krate, name) = (&context.krate, step.name());
    let (function, look) = (name_or_path(None, &context.function), look(krate));
    let error = context.error();
    code!(#krate::__private::emit_fallback(#error, #function, #name, #look);)
}

/// Takes a step.
fn answer(step: &Step, is_last: bool, context: &Context) -> TokenStream {
    // What is wrong with what it returns is wrong there.
    let place = Span::mixed_site().located_at(step.span());
    let (krate, output) = (at(place, &context.krate), &context.output);
    // A closure of a function that is not `async` can be told what to return.
    let result = if context.is_async { code!(_) } else { output.clone() };
    let call = match step {
        Step::Function(path) => {
            let arguments = context.pass(None, is_last);
            quote_spanned!(place=> #path(#(#arguments),*))
        }
        Step::Method(ExprField { base, member, .. }) => {
            let (base, arguments) = (context.of_self(base.to_token_stream()), context.pass(None, is_last));
            quote_spanned!(place=> #base.#member(#(#arguments),*))
        }
        Step::Closure(closure) => {
            let bindings = context.pass_moved(closure, is_last);
            let mut closure = closure.clone();
            if closure.inputs.is_empty() {
                closure.inputs.push(syn::parse_quote!(_));
            }
            quote_spanned!(place=> { #bindings #krate::__private::fallback_closure::<_, #result>(error, #closure) })
        }
        Step::ClosureOfAll(closure) => {
            let (mut closure, body) = (closure.clone(), &closure.body);
            let error = closure.inputs.pop();
            let (patterns, arguments) = (closure.inputs.iter(), context.pass(None, is_last));
            let body = quote_spanned!(place=> { #(let #patterns = #arguments;)* #body });
            closure.inputs = error.into_iter().collect();
            *closure.body = Expr::Verbatim(body);
            quote_spanned!(place=> #krate::__private::fallback_closure::<_, #result>(error, #closure))
        }
    };
    // A closure of a function that is not `async` has been told already.
    let checked = |answer: TokenStream| quote_spanned!(place=> #krate::__private::FallbackResult::<#output>::into_result(#answer));
    if !context.is_async {
        return if step.is_closure() { call } else { checked(call) };
    }
    let settled = checked(quote_spanned!(place=> kind.into_future(answer).await));
    code! {
        {
            let answer = #call;
            let kind = {
                #[allow(unused_imports)]
                use #krate::__private::{FutureAnswer as _, ReadyAnswer as _};
                (&&#krate::__private::AnswerProbe(&answer)).kind()
            };
            #settled
        }
    }
}

impl Context {
    /// What the attempt gets of the arguments that the fallbacks need after it: what stands outside of its block and what
    /// inside.
    fn kept_arguments(&self, fallback: &Fallback) -> (TokenStream, TokenStream) {
        let (mut slots, mut bindings) = (self.used_up(), TokenStream::new());
        let gets_all = fallback.gets_arguments();
        for (index, Argument { name, mutability, cfgs, supply, .. }) in self.arguments.needed.iter().enumerate() {
            let is_seen = gets_all || fallback.steps.iter().any(|step| mentions(step.to_token_stream(), name));
            let is_judged = matches!(&fallback.condition, Condition::Error(predicate) if mentions(predicate.to_token_stream(), name));
            let place = Span::mixed_site().located_at(name.span());
            let own = match supply {
                _ if !is_seen && !is_judged => code!(#name),
                Supply::Clone => self.again(name),
                Supply::Reborrow => code!(&mut *#name),
                Supply::Copy => code!(#name),
                Supply::Repin => {
                    let slot = format_ident!("pinned_{index}", span = place);
                    slots.extend(code!(#(#cfgs)* let mut #slot = #name; #(#cfgs)* let mut #name = #slot.as_mut();));
                    code!(#name.as_mut())
                }
            };
            bindings.extend(code!(#(#cfgs)* let #mutability #name = #own;));
        }
        (slots, bindings)
    }

    /// The arguments of a call, or of a part of them. The last call gets the caller's own.
    fn pass(&self, of: Option<&Moved>, is_last: bool) -> Vec<TokenStream> {
        let is_wanted = |argument: &&Argument| of.is_none_or(|moved| moved.contains(&argument.name));
        let own = |argument: &Argument| {
            let name = &argument.name;
            match argument.supply {
                Supply::Clone if !is_last => self.again(name),
                Supply::Clone | Supply::Copy => code!(#name),
                Supply::Reborrow => code!(&mut *#name),
                Supply::Repin => code!(#name.as_mut()),
            }
        };
        self.passed.iter().filter(is_wanted).map(own).collect()
    }

    /// Binds again what a closure moves.
    fn pass_moved(&self, closure: &ExprClosure, is_last: bool) -> TokenStream {
        if is_last {
            return TokenStream::new();
        }
        let names = self
            .passed
            .iter()
            .filter(|argument| argument.supply == Supply::Clone)
            .map(|argument| argument.name.clone());
        let body = &closure.body;
        let moved = Moved::by(&code!({ #body }), names);
        let names = self.passed.iter().map(|argument| &argument.name).filter(|name| moved.contains(name));
        let arguments = self.pass(Some(&moved), is_last);
        code!(#(let #names = #arguments;)*)
    }

    /// A clone of an argument. What is no `Clone` is reported there.
    fn again(&self, name: &Ident) -> TokenStream {
        let place = Span::mixed_site().located_at(name.span());
        let krate = at(place, &self.krate);
        quote_spanned!(place=> #krate::__private::CloneArgument::clone_argument(&#name))
    }

    /// The receiver by the name that it has inside of what `#[async_trait]` makes.
    fn of_self(&self, base: TokenStream) -> TokenStream {
        let Some(renamed) = &self.renamed_self else { return base };
        base.into_iter()
            .map(|token| match token {
                TokenTree::Ident(ident) if ident == "self" => TokenTree::Ident(renamed.clone()),
                other => other,
            })
            .collect()
    }
}
