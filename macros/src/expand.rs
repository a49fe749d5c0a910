//! Writes the new body of a function: its attributes as layers around the old one, the lowest innermost.
//!
//! The old body is wrapped, never edited: in an `async` block or in a closure that is called in place, so that `?` and
//! `return` end an attempt and not the function, and so that what it borrows is borrowed again for each attempt.

mod body;
mod bulkhead;
mod circuit_breaker;
mod fallback;
mod rate_limit;
mod retry;
mod timeout;

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, GenericArgument, PathArguments, PathSegment, Signature, Type, ext::IdentExt as _, spanned::Spanned};

use crate::{
    args::{Condition, fallback::Fallback, retry::Retry},
    arguments::{self, Argument, Repeats},
    captures::{Captures, Uses},
    errors::Errors,
    form::{AsyncBody, Form},
    function::Function,
    moves::Moved,
    stack::Layer,
};

/// Quotes code whose local variables the user's code can't see, nor the other way round.
macro_rules! code {
    ($($tokens:tt)*) => { quote::quote_spanned!(proc_macro2::Span::mixed_site()=> $($tokens)*) };
}
pub(crate) use code;

/// An expression that makes one call.
struct Attempt {
    code: TokenStream,
    /// The same as a future that can be polled where it is, and that `code` awaits; `None` where it does more than that.
    future: Option<TokenStream>,
    /// Whether it is a pair: the returned value, and how the attempt fared at a breaker.
    has_passage: bool,
    /// Whether a rate limit or a bulkhead may refuse it.
    is_limited: bool,
    /// Whether the retry above has its scope around the call already; else the retry puts it around all of this.
    is_scoped: bool,
}

/// What all layers of one function know.
struct Context {
    is_async: bool,
    /// The function's name.
    function: String,
    /// The path of the runtime.
    krate: TokenStream,
    /// The declared return type, as it can be written inside the body.
    output: TokenStream,
    /// Where errors about the return type belong.
    output_place: Span,
    /// True if the error type is a type parameter of the function.
    is_error_generic: bool,
    /// What each attempt of a retry needs for itself.
    arguments: Arguments,
    /// What a fallback is called with.
    passed: Vec<Argument>,
    /// What `#[async_trait]` calls `self`.
    renamed_self: Option<Ident>,
    /// How the old body takes the arguments over.
    captures: Captures,
    /// Whether the call is an attempt of a retry.
    is_attempt: bool,
}

/// What each attempt of a retry needs for itself.
#[derive(Default)]
struct Arguments {
    needed: Vec<Argument>,
    /// Where to ask whether a `self` that the body uses up can be used up again.
    self_used_up: Option<Span>,
}

impl Arguments {
    /// These are moved as well, whatever the body does with them.
    fn give_away(&mut self, arguments: &[Argument]) {
        for argument in arguments {
            if !self.needed.iter().any(|needed| needed.name == argument.name) {
                self.needed.push(Argument { mutability: None, ..argument.clone() });
            }
        }
    }
}

/// Input: `fn f(a: A) -> R { body }` and its layers, the topmost first. Output: the same function with a body that
/// runs the layers. `prelude` goes first. `Err` has what only now can be seen to be wrong.
///
/// `written` is what stands in the parentheses of all attributes.
pub(crate) fn stack(
    function: &Function,
    layers: &[Layer],
    written: &TokenStream,
    prelude: &TokenStream,
) -> Result<TokenStream, Errors> {
    let mut signature = function.signature.clone();
    let mut body = match function.form {
        Form::Future { .. } => AsyncBody::of(&function.body),
        Form::Sync | Form::Async => None,
    };
    let candidates = arguments::candidates(&signature, body.as_ref().map_or(&[], |body| &body.renames));
    let uses = Uses {
        repeats: layers.iter().any(Layer::repeats),
        later: layers.iter().map(Layer::later).collect(),
        passes_all: layers.iter().any(|layer| matches!(layer, Layer::Fallback(fallback) if fallback.gets_arguments())),
        held: layers.iter().map(Layer::held).collect(),
        written,
        renamed_self: body.as_ref().and_then(|body| arguments::renamed_self(&body.renames)),
    };
    let (arguments, passed) = arguments_of(function, layers, &candidates, &uses, &mut signature, &mut body)?;
    let captures = Captures::of(function, candidates, &arguments.needed, &uses, &mut signature, &mut body);

    let place = function.output().map_or_else(|| signature.ident.span(), error_place);
    let mut context = Context {
        is_async: function.is_async(),
        function: signature.ident.unraw().to_string(),
        krate: layers.iter().find_map(Layer::krate).map_or_else(|| code!(::steadfast), ToTokens::to_token_stream),
        output: function.inner_output(),
        output_place: Span::mixed_site().located_at(place),
        is_error_generic: function.output().is_some_and(|output| is_error_generic(output, &signature)),
        arguments,
        is_attempt: is_attempt(layers),
        passed,
        renamed_self: uses.renamed_self,
        captures,
    };
    let mut attempt = context.call(function, body.as_ref());
    let below_retry = |index| layers.iter().take(index).any(|above| matches!(above, Layer::Retry(_)));
    // A breaker asks whether the call was made at all.
    let is_asked =
        |index| below_retry(index) || layers.iter().take(index).any(|above| matches!(above, Layer::CircuitBreaker(_)));
    for (index, layer) in layers.iter().enumerate().rev() {
        attempt = match layer {
            Layer::Retry(retry) => retry::expand(retry, &attempt, &mut context),
            Layer::CircuitBreaker(breaker) => {
                let asked = below_retry(index) || attempt.has_passage && is_asked(index);
                circuit_breaker::expand(breaker, &attempt, index, asked, &context)
            }
            Layer::RateLimit(limit) => rate_limit::expand(limit, &attempt, index, is_asked(index), &context),
            Layer::Bulkhead(bulkhead) => bulkhead::expand(bulkhead, &attempt, index, is_asked(index), &context),
            Layer::Timeout(timeout) => timeout::expand(timeout, &attempt, &context),
            Layer::Fallback(fallback) => fallback::expand(fallback, &attempt, index, &mut context),
        };
    }
    let (code, renames) = (attempt.code, body.map(|body| arguments::tokens(&body.renames)));
    let code = match function.form {
        Form::Sync | Form::Async => code,
        Form::Future { boxed: false, .. } => code!(async move { #renames #code }),
        Form::Future { boxed: true, .. } => code!(::std::boxed::Box::pin(async move { #renames #code })),
    };
    Ok(function.with_body(&signature, &code!({ #prelude #code })))
}

/// Whether the call itself is what a retry scopes as its attempt: where there are only breakers between the two. All others have to be
/// inside of the scope, since they wait or call something else.
fn is_attempt(layers: &[Layer]) -> bool {
    let innermost = layers.iter().rposition(Layer::repeats);
    innermost.is_some_and(|retry| layers[retry + 1..].iter().all(|layer| matches!(layer, Layer::CircuitBreaker(_))))
}

/// What each attempt of a retry needs for itself, if there is a retry, and what a fallback gets.
fn arguments_of(
    function: &Function,
    layers: &[Layer],
    candidates: &[Argument],
    uses: &Uses<'_>,
    signature: &mut Signature,
    body: &mut Option<AsyncBody>,
) -> Result<(Arguments, Vec<Argument>), Errors> {
    let retries = layers.iter().filter_map(|layer| match layer {
        Layer::Retry(retry) => Some(&**retry),
        _ => None,
    });
    let (block, renames) = match body {
        Some(AsyncBody { renames, rest }) => (quote!({ #rest }), &mut renames[..]),
        None => (function.body.to_token_stream(), &mut [][..]),
    };
    let mut errors = Errors::default();
    let to_clone: HashSet<Ident> = retries.clone().flat_map(|retry| retry.clone.iter().cloned()).collect();
    arguments::check_named(&to_clone, candidates, &mut errors);
    let mut fallbacks = layers.iter().filter_map(|layer| match layer {
        Layer::Fallback(fallback) => Some(&**fallback),
        _ => None,
    });
    let what = match (retries.clone().all(Retry::is_single), fallbacks.clone().next()) {
        (false, _) => Repeats::Retry,
        (true, Some(_)) => Repeats::Fallback,
        (true, None) => return errors.or(Default::default()),
    };
    let passed = if fallbacks.any(Fallback::gets_arguments) {
        arguments::passed(signature, renames, candidates, &mut errors)
    } else {
        arguments::passed(signature, renames, candidates, &mut Errors::default())
    };
    let names = candidates.iter().map(|argument| argument.name.clone());
    let moved = Moved::by(&block, names.chain([Ident::new("self", Span::call_site())]));
    let is_self_kept = uses.keeps(&Ident::new("self", Span::call_site()));
    let self_used_up = is_self_kept.then(|| arguments::check_self(signature, &moved, &mut errors)).flatten();
    arguments::check_output(signature, function.output(), what, &mut errors);
    let mut needed = arguments::needed(candidates.to_vec(), &moved, &to_clone);
    // What no fallback sees is the body's.
    needed.retain(|argument| uses.keeps(&argument.name));
    arguments::strip_mut(&needed, signature, renames);
    errors.or((Arguments { needed, self_used_up }, passed))
}

impl Context {
    /// Takes a place, and waits for it where that can be done.
    fn acquire(&self) -> TokenStream {
        match (self.is_async, cfg!(feature = "tokio")) {
            (false, _) => code!(acquire()),
            (true, true) => code!(acquire_async().await),
            (true, false) => code!(try_acquire()),
        }
    }

    /// Asks whether a `self` that the body uses up can be used up again, if it does.
    fn used_up(&self) -> TokenStream {
        let Some(place) = self.arguments.self_used_up else { return TokenStream::new() };
        let this = Ident::new("self", place);
        let place = Span::mixed_site().located_at(place);
        let krate = at(place, &self.krate);
        quote_spanned!(place=> #krate::__private::CopyReceiver::check(&#this);)
    }

    /// A call into the runtime that asks something of the return type: what does not fit is reported there.
    fn ask(&self, function: &str, arguments: &TokenStream) -> TokenStream {
        let place = self.output_place;
        let krate = at(place, &self.krate);
        let function = Ident::new(function, place);
        quote_spanned!(place=> #krate::__private::#function(#arguments))
    }

    /// Output: `CallResult::error(&outcome)`. A return type that is neither a `Result` nor an `Option` is reported at that type.
    fn error(&self) -> TokenStream {
        let place = self.output_place;
        let krate = at(place, &self.krate);
        quote_spanned!(place=> #krate::__private::CallResult::error(&outcome))
    }

    /// Input: `FromRateLimited`, `limited`. Output: `CallResult::from_error(FromRateLimited::from_rejection(limited))`, where the error
    /// type has no such `From` reported at that type. Of a type parameter it is `From` itself, so that the compiler suggests that bound.
    fn rejected(&self, from: &str, rejection: &TokenStream) -> TokenStream {
        let place = self.output_place;
        let krate = at(place, &self.krate);
        let from_std = quote_spanned!(place=> ::core::convert::From::from);
        let error = if !self.is_error_generic {
            let from = Ident::new(from, place);
            quote_spanned!(place=> #krate::__private::#from::from_rejection(#rejection))
        } else if from == "FromCircuitOpen" {
            quote_spanned!(place=> #krate::__private::convert_by(#rejection, #from_std))
        } else {
            quote_spanned!(place=> #from_std(#rejection))
        };
        quote_spanned!(place=> #krate::__private::CallResult::from_error(#error))
    }
}

/// Input: `future`. Output: the same, awaited as an attempt. It is pinned where it stands, so that it is not moved.
fn scoped(future: &TokenStream) -> TokenStream {
    code!(attempts.scope(::core::pin::pin!(#future)).await)
}

/// Expressions for the rejected call, whose error `from` makes of the `reason`, and for the admitted one; pairs with a disposition where
/// that is `asked`.
fn refused([from, reason]: [&str; 2], attempt: &Attempt, asked: bool, context: &Context) -> (TokenStream, TokenStream) {
    let (krate, place) = (&context.krate, context.output_place);
    let reason = Ident::new(reason, place);
    let (value, code) = (context.rejected(from, &quote_spanned!(place=> #reason)), &attempt.code);
    match (asked, attempt.has_passage) {
        (false, _) => (value, code.clone()),
        (true, true) => (code!((#value, #krate::__private::Disposition::LimitRejected)), code.clone()),
        (true, false) => {
            let output = &context.output;
            let made = code!({ let outcome: #output = #code; (outcome, #krate::__private::Disposition::Called) });
            (code!((#value, #krate::__private::Disposition::LimitRejected)), made)
        }
    }
}

/// `Some(config)` or `None`.
fn option(config: Option<TokenStream>) -> TokenStream {
    config.map_or_else(|| code!(::core::option::Option::None), |config| code!(::core::option::Option::Some(#config)))
}

/// Input: `Declared::named(...)`. Output: that as a static which the registry lists under `slice`, and what it `find`s.
fn declared(
    declaration: &TokenStream,
    ty: &TokenStream,
    slice: &str,
    find: &TokenStream,
    krate: &TokenStream,
) -> TokenStream {
    let slice = Ident::new(slice, Span::mixed_site());
    code! {
        {
            static DECLARATION: #krate::__private::Declared<#ty> = #declaration;
            #[#krate::__private::linkme::distributed_slice(#krate::__private::#slice)]
            #[linkme(crate = #krate::__private::linkme)]
            static DECLARED: &#krate::__private::Declared<#ty> = &DECLARATION;
            #find
        }
    }
}

/// Where errors about a return type belong: at the `E` of a `Result<T, E>`, else at the type.
fn error_place(output: &Type) -> Span {
    error_type(output).map_or_else(|| output.span(), Spanned::span)
}

/// Returns true if the error type is a type parameter of the function.
fn is_error_generic(output: &Type, signature: &Signature) -> bool {
    let Some(GenericArgument::Type(Type::Path(error))) = error_type(output) else { return false };
    error.path.get_ident().is_some_and(|error| signature.generics.type_params().any(|param| param.ident == *error))
}

/// The `E` of a `Result<T, E>`.
fn error_type(output: &Type) -> Option<&GenericArgument> {
    let Type::Path(path) = output else { return None };
    match path.path.segments.last() {
        Some(PathSegment { ident, arguments: PathArguments::AngleBracketed(arguments) }) if ident == "Result" => {
            arguments.args.iter().nth(1)
        }
        _ => None,
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

/// The tokens of a path as if they were written at `place`: what is called by it, and asks where, hears that.
fn moved(place: Span, path: &TokenStream) -> TokenStream {
    path.clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(place);
            token
        })
        .collect()
}

/// A closure that shows an error as `&dyn Error`. That it is none is reported at `place`.
fn show(krate: &TokenStream, place: Span) -> TokenStream {
    let krate = at(place, krate);
    quote_spanned!(place=> |error| {
        #[allow(unused_imports)]
        use #krate::__private::{MissingError as _, ViaError as _, ViaErrorDeref as _};
        #krate::__private::ErrorChain::as_dyn_error((&&#krate::__private::Probe(error)).chain_target())
    })
}

/// A closure that asks an error whether it is transient. That it does not say is reported at `place`.
fn judge(krate: &TokenStream, place: Span) -> TokenStream {
    let krate = at(place, krate);
    quote_spanned!(place=> |error| {
        #[allow(unused_imports)]
        use #krate::__private::{MissingTransient as _, ViaDeref as _, ViaTransient as _};
        let error = (&&#krate::__private::Probe(error)).transient_target();
        #krate::__private::verdict_of(
            #krate::Transient::is_transient(error),
            || #krate::Transient::retry_after(error),
            || #krate::Transient::is_rejection(error),
        )
    })
}

/// Input: `is_busy`. Output: `|error| predicate(error, is_busy)`. A predicate of another type is reported at the predicate.
fn predicate(krate: &TokenStream, predicate: &Expr) -> TokenStream {
    let call = closure_call("predicate", &code!(error,), predicate, krate);
    code!(|error| #call)
}

/// Input: `predicate`, `error,`, `is_busy`. Output: `predicate(error, is_busy)`, where a mismatch is reported at `is_busy`.
fn closure_call(function: &str, arguments: &TokenStream, closure: &Expr, krate: &TokenStream) -> TokenStream {
    let place = Span::mixed_site().located_at(closure.span());
    let (krate, function) = (at(place, krate), Ident::new(function, place));
    quote_spanned!(place=> #krate::__private::#function(#arguments #closure))
}

/// A closure that shows an error as `&dyn Error` where it is one.
fn look(krate: &TokenStream) -> TokenStream {
    code!(|error| {
        #[allow(unused_imports)]
        use #krate::__private::{LookDeref as _, LookError as _, NoError as _};
        (&&#krate::__private::Probe(error)).look()
    })
}

/// `&[<A as ErrorType>::is_type_of, <B as ErrorType>::is_type_of]`
fn type_list(krate: &TokenStream, types: &[Type]) -> TokenStream {
    let checks = types.iter().map(|ty| {
        let place = Span::mixed_site().located_at(ty.span());
        let krate = at(place, krate);
        quote_spanned!(place=> <#ty as #krate::__private::ErrorType>::is_type_of)
    });
    code!(&[#(#checks),*])
}

impl Layer {
    /// Whether it may make more than one attempt.
    fn repeats(&self) -> bool {
        matches!(self, Self::Retry(retry) if !retry.is_single())
    }

    /// The user's expressions that are evaluated after a call: the function's arguments may occur in them.
    fn later(&self) -> TokenStream {
        match self {
            Self::Retry(retry) => {
                let (condition, hook, stop) = (retry.condition.expression(), &retry.hook, &retry.stop_on);
                quote!(#condition #hook #stop)
            }
            Self::CircuitBreaker(breaker) => breaker.condition.expression().to_token_stream(),
            Self::Fallback(fallback) => {
                let (condition, steps) = (fallback.condition.expression(), &fallback.steps);
                quote!(#condition #(#steps)*)
            }
            Self::Timeout(_) | Self::RateLimit(_) | Self::Bulkhead(_) => TokenStream::new(),
        }
    }

    /// The user's expressions whose value is borrowed while the call is made.
    fn held(&self) -> TokenStream {
        match self {
            Self::Retry(retry) => retry.stop_on.to_token_stream(),
            _ => TokenStream::new(),
        }
    }
}

impl Condition {
    /// The expression of the user's that it is, if it is one.
    const fn expression(&self) -> Option<&Expr> {
        match self {
            Self::Error(predicate) | Self::Value(predicate) => Some(predicate),
            Self::ByType | Self::Any | Self::Types(_) => None,
        }
    }

    /// The types that it names, if it names any.
    fn types(&self) -> &[Type] {
        match self {
            Self::Types(types) => types,
            _ => &[],
        }
    }
}
