//! The call of an alternative, with its arguments.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, ExprClosure, ExprField, spanned::Spanned};

use super::options::Alternative;
use crate::{
    codegen::{
        context::Context,
        spans::{located_at, quote_mixed},
    },
    item::{
        arguments::{Argument, Rebind},
        moves::Moved,
    },
};

/// The call of an alternative. A return value of the wrong type is reported at the alternative.
///
/// | alternative | output |
/// | --- | --- |
/// | `cached` | `FallbackResult::<R>::into_result(cached(arguments))` |
/// | `self.cached` | `FallbackResult::<R>::into_result(self.cached(arguments))` |
/// | `\|error\| ...` | `fallback_closure::<_, R>(error, \|error\| ...)` |
/// | `\|order, error\| ...` | `fallback_closure::<_, R>(error, \|error\| { let order = order; ... })` |
///
/// In an `async` function the alternative may return a value or a future:
///
/// ```text
/// {
///     let answer = cached(arguments);
///     let kind = (&&AnswerProbe(&answer)).kind();
///     FallbackResult::<R>::into_result(kind.into_future(answer).await)
/// }
/// ```
pub(super) fn answer(alternative: &Alternative, is_last: bool, context: &Context) -> TokenStream {
    let span = Span::mixed_site().located_at(alternative.span());
    let (krate, output) = (located_at(span, &context.krate), &context.output);
    // In an `async` function a closure may return a future, so its return type is known only in other functions.
    let result = if context.is_async { quote_mixed!(_) } else { output.clone() };
    let call = match alternative {
        Alternative::Function(path) => {
            let arguments = forward(None, is_last, context);
            quote_spanned!(span=> #path(#(#arguments),*))
        }
        Alternative::Method(ExprField { base, member, .. }) => {
            let arguments = forward(None, is_last, context);
            quote_spanned!(span=> #base.#member(#(#arguments),*))
        }
        Alternative::ErrorClosure(closure) => {
            let bindings = rebind_moved(closure, is_last, context);
            let mut closure = closure.clone();
            if closure.inputs.is_empty() {
                closure.inputs.push(syn::parse_quote!(_));
            }
            quote_spanned!(span=> { #bindings #krate::__private::fallback_closure::<_, #result>(error, #closure) })
        }
        Alternative::FullClosure(closure) => {
            let (mut closure, body) = (closure.clone(), &closure.body);
            let error = closure.inputs.pop();
            let (patterns, arguments) = (closure.inputs.iter(), forward(None, is_last, context));
            let body = quote_spanned!(span=> { #(let #patterns = #arguments;)* #body });
            closure.inputs = error.into_iter().collect();
            *closure.body = Expr::Verbatim(body);
            quote_spanned!(span=> #krate::__private::fallback_closure::<_, #result>(error, #closure))
        }
    };
    let checked =
        |answer: TokenStream| quote_spanned!(span=> #krate::__private::FallbackResult::<#output>::into_result(#answer));
    if !context.is_async {
        // `fallback_closure` has checked the type of a closure.
        return if alternative.is_closure() { call } else { checked(call) };
    }
    let result = checked(quote_spanned!(span=> kind.into_future(answer).await));
    quote_mixed! {
        {
            let answer = #call;
            let kind = {
                #[allow(unused_imports)]
                use #krate::__private::{FutureAnswer as _, ReadyAnswer as _};
                (&&#krate::__private::AnswerProbe(&answer)).kind()
            };
            #result
        }
    }
}

/// The arguments of a call, or those among them that are `moved`. The last call gets the original values.
fn forward(moved: Option<&Moved>, is_last: bool, context: &Context) -> Vec<TokenStream> {
    let is_wanted = |argument: &&Argument| moved.is_none_or(|moved| moved.contains(&argument.name));
    let own = |argument: &Argument| {
        let name = &argument.name;
        match argument.rebind {
            Rebind::Clone if !is_last => clone_of(name, context),
            Rebind::Clone | Rebind::CloneOrLend | Rebind::Copy => quote_mixed!(#name),
            Rebind::Reborrow => quote_mixed!(&mut *#name),
            Rebind::Repin => quote_mixed!(#name.as_mut()),
        }
    };
    context.inputs.forwarded.iter().filter(is_wanted).map(own).collect()
}

/// Statements that bind clones of the arguments that a closure moves. The last closure moves the original values.
fn rebind_moved(closure: &ExprClosure, is_last: bool, context: &Context) -> TokenStream {
    if is_last {
        return TokenStream::new();
    }
    let forwarded = &context.inputs.forwarded;
    let names = forwarded.iter().filter(|argument| argument.rebind == Rebind::Clone);
    let body = &closure.body;
    let moved = Moved::by(&context.renamed(quote_mixed!({ #body })), names.map(|argument| argument.name.clone()));
    let names = forwarded.iter().map(|argument| &argument.name).filter(|name| moved.contains(name));
    let arguments = forward(Some(&moved), is_last, context);
    quote_mixed!(#(let #names = #arguments;)*)
}

/// A clone of an argument. A type that is not `Clone` is reported at the argument.
pub(super) fn clone_of(name: &Ident, context: &Context) -> TokenStream {
    let span = Span::mixed_site().located_at(name.span());
    let krate = located_at(span, &context.krate);
    quote_spanned!(span=> #krate::__private::CloneArgument::clone_argument(&#name))
}
