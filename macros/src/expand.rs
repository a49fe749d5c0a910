//! Writes the new body of a function: its attributes as layers around the old one, the lowest innermost.
//!
//! The old body is wrapped, never edited: in an `async` block or in a closure that is called in place, so that `?` and
//! `return` end an attempt and not the function, and so that what it borrows is borrowed again for each attempt.

mod circuit_breaker;
mod retry;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{PathArguments, PathSegment, Type, spanned::Spanned};

use crate::{
    args::Condition,
    function::{Argument, Function},
    stack::Layer,
};

/// Quotes code whose local variables the user's code can't see, nor the other way round.
macro_rules! code {
    ($($tokens:tt)*) => { quote::quote_spanned!(proc_macro2::Span::mixed_site()=> $($tokens)*) };
}
use code;

/// An expression that makes one call.
struct Attempt {
    code: TokenStream,
    /// Whether it is a pair: the returned value, and the rejection if there was no call.
    tells_rejection: bool,
}

/// What all layers of one function know.
struct Context {
    is_async: bool,
    /// The path of the runtime.
    krate: TokenStream,
    /// The declared return type, as it can be written inside the body.
    output: TokenStream,
    /// Where errors about the return type belong.
    output_place: Span,
    /// What each attempt of a retry needs for itself.
    arguments: Vec<Argument>,
}

/// Input: `fn f(a: A) -> R { body }` and its layers, the topmost first. Output: the same function with a body that
/// runs the layers. `prelude` goes first.
pub(crate) fn stack(mut function: Function, layers: &[Layer], prelude: &TokenStream) -> TokenStream {
    let place = function.output().map_or_else(|| function.signature.ident.span(), error_place);
    let mut context = Context {
        is_async: function.is_async(),
        krate: layers.iter().find_map(Layer::krate).map_or_else(|| code!(::steadfast), ToTokens::to_token_stream),
        output: function.inner_output(),
        output_place: Span::mixed_site().located_at(place),
        arguments: retry::arguments(&mut function, layers),
    };
    let mut attempt = Attempt { code: context.body(&function), tells_rejection: false };
    for (index, layer) in layers.iter().enumerate().rev() {
        attempt = match layer {
            Layer::Retry(retry) => retry::expand(retry, &attempt, &mut context),
            Layer::CircuitBreaker(breaker) => {
                let below_retry = layers.iter().take(index).any(|above| matches!(above, Layer::Retry(_)));
                circuit_breaker::expand(breaker, &attempt, below_retry, &context)
            }
        };
    }
    let code = attempt.code;
    function.with_body(&code!({ #prelude #code }))
}

impl Context {
    /// Input: `{ body }`. Output, sync: `(|| -> R { body })()`; async: `async { ...; body }.await`, where `...` is a
    /// `return` that is never reached and pins the type, since an `async` block has no place to declare one.
    fn body(&self, function: &Function) -> TokenStream {
        let (body, output, krate) = (&function.body, &self.output, &self.krate);
        if !self.is_async {
            return code!((|| -> #output #body)());
        }
        let statements = body.stream();
        let mut block = Group::new(
            Delimiter::Brace,
            code! {
                if false {
                    return #krate::__private::never::<#output>();
                }
                #statements
            },
        );
        block.set_span(body.span());
        code!(async #block.await)
    }

    /// A call into the runtime that asks something of the return type: what does not fit is reported there.
    fn ask(&self, function: &str, arguments: &TokenStream) -> TokenStream {
        let place = self.output_place;
        let krate = at(place, &self.krate);
        let function = proc_macro2::Ident::new(function, place);
        quote_spanned!(place=> #krate::__private::#function(#arguments))
    }
}

/// Where errors about a return type belong: at the `E` of a `Result<T, E>`, else at the type.
fn error_place(output: &Type) -> Span {
    let Type::Path(path) = output else { return output.span() };
    match path.path.segments.last() {
        Some(PathSegment { ident, arguments: PathArguments::AngleBracketed(arguments) }) if ident == "Result" => {
            arguments.args.iter().nth(1).map_or_else(|| output.span(), Spanned::span)
        }
        _ => output.span(),
    }
}

/// The tokens of a path, to be shown at `place` in errors. What they mean stays.
fn at(place: Span, path: &TokenStream) -> TokenStream {
    path.clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(place));
            token
        })
        .collect()
}

/// A closure over the error that looks for types in its chain of sources. That it has none is reported at `place`.
fn is_any_of(krate: &TokenStream, types: &[Type], place: Span) -> TokenStream {
    let types = type_list(krate, types);
    quote_spanned!(place=> |error| {
        #[allow(unused_imports)]
        use #krate::__private::{IsError as _, IsNoError as _, PointsToError as _};
        #krate::__private::is_any_of((&&#krate::__private::AsError(error)).as_error(), #types)
    })
}

/// `&[is_type::<A>, is_type::<B>]`
fn type_list(krate: &TokenStream, types: &[Type]) -> TokenStream {
    let checks = types.iter().map(|ty| {
        let place = Span::mixed_site().located_at(ty.span());
        let krate = at(place, krate);
        quote_spanned!(place=> #krate::__private::is_type::<#ty>)
    });
    code!(&[#(#checks),*])
}

impl Condition {
    /// The types that it names, if it names any.
    fn types(&self) -> &[Type] {
        match self {
            Self::Types(types) => types,
            _ => &[],
        }
    }
}
