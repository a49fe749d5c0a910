//! The attributes of ours on one item, built at once.
//!
//! The compiler expands the topmost attribute first. If each wrapped the body on its own, the topmost would end up
//! innermost, so the first to expand takes the others off the item and builds the whole stack in written order.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, Meta, Path, parse2, spanned::Spanned};

use crate::{
    args::{
        bulkhead::Bulkhead, circuit_breaker::CircuitBreaker, fallback::Fallback, rate_limit::RateLimit, retry::Retry,
        timeout::Timeout,
    },
    errors::Errors,
    expand,
    function::Function,
    options::Options,
    order::Order,
};

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Retry,
    CircuitBreaker,
    Timeout,
    Fallback,
    RateLimit,
    Bulkhead,
}

/// One attribute, understood.
pub(crate) enum Layer {
    Retry(Box<Retry>),
    CircuitBreaker(Box<CircuitBreaker>),
    Timeout(Box<Timeout>),
    Fallback(Box<Fallback>),
    RateLimit(Box<RateLimit>),
    Bulkhead(Box<Bulkhead>),
}

impl Layer {
    /// The path of the runtime, where this layer gives it.
    pub(crate) const fn krate(&self) -> Option<&Path> {
        match self {
            Self::Retry(retry) => retry.krate.as_ref(),
            Self::CircuitBreaker(breaker) => breaker.krate.as_ref(),
            Self::Timeout(timeout) => timeout.krate.as_ref(),
            Self::Fallback(fallback) => fallback.krate.as_ref(),
            Self::RateLimit(limit) => limit.krate.as_ref(),
            Self::Bulkhead(bulkhead) => bulkhead.krate.as_ref(),
        }
    }
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Retry, Self::CircuitBreaker, Self::Timeout, Self::Fallback, Self::RateLimit, Self::Bulkhead];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::CircuitBreaker => "circuit_breaker",
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
            Self::RateLimit => "rate_limit",
            Self::Bulkhead => "bulkhead",
        }
    }

    /// Recognises an attribute by the last segment of its path, so that it does not matter how it was imported.
    fn of(attribute: &Attribute) -> Option<Self> {
        let last = attribute.path().segments.last()?;
        Self::ALL.into_iter().find(|kind| last.ident == kind.name())
    }
}

/// Expands the attribute that the compiler came upon first, and the others of ours on the same item with it.
#[allow(clippy::needless_pass_by_value, reason = "owned, as the entry points have it")]
pub(crate) fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    if args.to_string() == TAKEN {
        return TokenStream::new();
    }
    let mut function: Function = match parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return not_a_function(kind, &error, &item),
    };
    let mut errors = Errors::default();
    let mut order = Order::default();
    let mut written = args.clone();
    let mut layers = vec![layer(kind, args, Span::call_site(), &function, &mut order, &mut errors)];
    let (mut foreign, mut taken) = (Vec::new(), Vec::new());
    for attribute in std::mem::take(&mut function.attributes) {
        match Kind::of(&attribute) {
            Some(kind) => {
                let path = attribute.path().clone();
                let args = arguments(attribute);
                written.extend(args.clone());
                layers.push(layer(kind, args, path.span(), &function, &mut order, &mut errors));
                taken.push(path);
            }
            None => foreign.push(attribute),
        }
    }
    function.attributes = foreign;
    order.check(&mut errors);
    let mentions = mentions(&taken);
    errors.or(()).and_then(|()| expand::stack(&function, &layers, &written, &mentions)).unwrap_or_else(|errors| {
        // The function stays, so that its callers have nothing to complain about.
        let body = function.body.stream();
        let function = function.with_body(&function.signature, &quote!({ #mentions #body }));
        let errors = errors.into_tokens();
        quote!(#function #errors)
    })
}

fn layer(
    kind: Kind,
    args: TokenStream,
    span: Span,
    function: &Function,
    order: &mut Order,
    errors: &mut Errors,
) -> Layer {
    let (values, mut options) = match kind {
        Kind::Retry | Kind::CircuitBreaker | Kind::RateLimit | Kind::Bulkhead => {
            (Vec::new(), Options::parse(args, errors))
        }
        Kind::Timeout | Kind::Fallback => Options::parse_with_values(args, &["if", "allow_order"], errors),
    };
    order.add(kind, span, options.take("allow_order").is_some());
    let value_is_judged = match kind {
        Kind::Retry => options.mentions("retry_if_result", &[]),
        _ => false,
    };
    function.check(kind.name(), value_is_judged, errors);
    match kind {
        Kind::Retry => {
            let retry = Retry::parse(options, errors);
            if function.is_async() && !cfg!(feature = "tokio") {
                errors.at(
                    function.signature.asyncness,
                    "retrying an async function needs a timer: enable steadfast's feature `tokio`",
                );
            }
            Layer::Retry(Box::new(retry))
        }
        Kind::CircuitBreaker => Layer::CircuitBreaker(Box::new(CircuitBreaker::parse(options, span, errors))),
        Kind::Timeout => {
            check_timer(function, errors);
            Layer::Timeout(Box::new(Timeout::parse(values, options, span, errors)))
        }
        Kind::Fallback => {
            let fallback = Fallback::parse(values, options, span, &function.signature, errors);
            Layer::Fallback(Box::new(fallback))
        }
        Kind::RateLimit => Layer::RateLimit(Box::new(RateLimit::parse(options, span, function.is_async(), errors))),
        Kind::Bulkhead => Layer::Bulkhead(Box::new(Bulkhead::parse(options, span, function.is_async(), errors))),
    }
}

/// Reports what no time limit can be put on.
fn check_timer(function: &Function, errors: &mut Errors) {
    if !function.is_async() {
        errors.at(
            function.signature.fn_token,
            "a timeout needs an `async fn`: nothing can stop a function that has its thread to itself\n\
             give what it waits for a limit of its own, such as `TcpStream::set_read_timeout`, or make it `async`",
        );
    } else if !cfg!(feature = "tokio") {
        errors.at(function.signature.asyncness, "a timeout needs a timer: enable steadfast's feature `tokio`");
    }
}

/// The argument of an attribute that was taken off its item and is only mentioned, on an item that goes away.
const TAKEN: &str = "__steadfast_taken";

/// Mentions attributes that were taken off the item. The compiler looks up what they mean and an editor finds them,
/// as it would have without us; an import that is there for them is not unused.
fn mentions(taken: &[Path]) -> TokenStream {
    let marker = Ident::new(TAKEN, Span::mixed_site());
    quote!(#(#[#taken(#marker)] const _: () = ();)*)
}

/// What stands in the parentheses of an attribute.
fn arguments(attribute: Attribute) -> TokenStream {
    match attribute.meta {
        Meta::List(list) => list.tokens,
        Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
    }
}

fn not_a_function(kind: Kind, error: &syn::Error, item: &TokenStream) -> TokenStream {
    let looks_like_a_function = item.clone().into_iter().any(|token| token.to_string() == "fn");
    let error = if looks_like_a_function {
        error.to_compile_error()
    } else {
        let message = format!("`#[{}]` stands on functions and methods only", kind.name());
        syn::Error::new(Span::call_site(), message).to_compile_error()
    };
    quote!(#item #error)
}
