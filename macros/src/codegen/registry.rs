//! The statics that declare breakers, bulkheads, rate limits, retry policies, timeouts and the counts of fallbacks, and list them.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::{Error, Expr, ExprReference, Path, spanned::Spanned};

use super::spans::{located_at, quote_mixed, respan};
use crate::syntax::{instance::Instance, values::Count};

/// A declaration of a breaker, a bulkhead or a rate limit.
pub(crate) struct Declaration<'a> {
    /// The span of the attribute. The declaration stores its location, and conflicts are reported there.
    pub(crate) attribute: Span,
    pub(crate) instance: &'a Instance,
    /// The settings as a const expression; `None` if they are declared elsewhere.
    pub(crate) config: Option<TokenStream>,
    /// The key that selects one of the instances with this name.
    pub(crate) key: Option<&'a Expr>,
    pub(crate) max_keys: Option<&'a Count>,
    /// True if the lookup by the key takes as many permits as the variable `permits` holds.
    pub(crate) is_weighted: bool,
    /// The text of `failure_if`.
    pub(crate) failure_if: Option<String>,
    /// The variant of `Hang` that describes a call of the function that hangs. `None` if a timeout bounds it, and for a function that is not
    /// `async`.
    pub(crate) hang: Option<&'static str>,
    /// The type of the instance.
    pub(crate) ty: &'static str,
    /// The slice that lists the declarations of this type.
    pub(crate) slice: &'static str,
    pub(crate) krate: &'a TokenStream,
}

impl Declaration<'_> {
    /// The statement that must precede [`block`](Self::block) if the instance is known at run time only: `let own = &(self.limit); let own: &RateLimit<_> = own;`.
    /// It is not part of the block, so that a temporary value in the expression lives as long as the block around it.
    pub(crate) fn binding(&self) -> TokenStream {
        let Some(value) = self.instance.run_time() else { return TokenStream::new() };
        // A value of the wrong type is reported at the expression.
        let span = Span::mixed_site().located_at(value.span());
        // The type is not expected in the expression itself, whose branches may be references.
        let reference = Ident::new("own", span);
        let (krate, ty) = (located_at(span, self.krate), Ident::new(self.ty, span));
        let keying = matches!(self.ty, "CircuitBreaker" | "RateLimit" | "Bulkhead").then(|| quote_mixed!(<_>));
        quote_mixed! {
            let own = &(#value);
            let own: &#krate::#ty #keying = #reference;
        }
    }

    /// Input: `name = "search", limit = 100, per = 60s`. Output: a block that declares the instance and evaluates to it:
    ///
    /// ```text
    /// {
    ///     static DECLARATION: Declared<RateLimit> = Declared::named("search", Some(config)).module(module_path!());
    ///     #[distributed_slice(RATE_LIMITS)]
    ///     static DECLARED: &Declared<RateLimit> = &DECLARATION;
    ///     DECLARATION.get()
    /// }
    /// ```
    ///
    /// | option | output |
    /// | --- | --- |
    /// | `rate_limit = SEARCH` | `Declared::of({ let own: &'static RateLimit = &SEARCH; own })` |
    /// | `max_keys = 100` | `Declared::named("search", Some(config)).max_keys(100)` |
    /// | `failure_if = is_busy` | `Declared::named("search", Some(config)).failure_if("failure_if = is_busy")` |
    /// | an `async` function without a timeout | `Declared::named("search", Some(config)).hang(Hang::Endless)` |
    /// | `rate_limit = self.limit` | `own`, without a declaration: see [`binding`](Self::binding) |
    /// | `key = user` | `Key::find_in(DECLARATION.get(), &user)` in place of `DECLARATION.get()` |
    /// | `key = user`, `permits = size` | `Key::find_in(&Weighted::new(DECLARATION.get(), permits), &user)` |
    pub(crate) fn block(self) -> TokenStream {
        let Self { attribute, instance, config, key, max_keys, is_weighted, failure_if, hang, ty, slice, krate } = self;
        let name = match instance {
            Instance::Named(name) => name.to_token_stream(),
            Instance::Static(_) | Instance::RunTime(_) | Instance::Missing => TokenStream::new(),
        };
        if let Some(error) = self_error(&name).or_else(|| config.as_ref().and_then(self_error)) {
            return error;
        }
        let here = respan(attribute, krate);
        let mut declaration = match instance {
            Instance::Named(name) => {
                let (name, config) = (text(name), option(config));
                quote_spanned!(attribute=> #here::__private::Declared::named(#name, #config))
            }
            Instance::Static(path) => {
                // A static of the wrong type is reported at its path. As an argument, it would be reported with the definition of `of`.
                let at_path = path.span();
                let reference = quote_spanned!(at_path=> &#path);
                let span = Span::mixed_site().located_at(at_path);
                let (krate, ty) = (located_at(span, krate), Ident::new(ty, span));
                let own = quote_spanned!(span=> { let own: &'static #krate::#ty = #reference; own });
                quote_spanned!(attribute=> #here::__private::Declared::of(#own))
            }
            Instance::RunTime(_) => return find(quote_mixed!(own), key, is_weighted, krate),
            Instance::Missing => return TokenStream::new(),
        };
        if let (Instance::Named(_), Some(max_keys)) = (instance, max_keys) {
            declaration = quote_spanned!(attribute=> #declaration.max_keys(#max_keys));
        }
        if let Some(text) = failure_if {
            declaration = quote_spanned!(attribute=> #declaration.failure_if(#text));
        }
        if let Some(hang) = hang {
            let hang = Ident::new(hang, Span::mixed_site().located_at(attribute));
            declaration = quote_spanned!(attribute=> #declaration.hang(#here::__private::Hang::#hang));
        }
        declaration = quote_spanned!(attribute=> #declaration.module(::core::module_path!()));
        let get = quote_spanned!(attribute=> get());
        let find = find(quote_mixed!(DECLARATION.#get), key, is_weighted, krate);
        let (ty, slice) = (Ident::new(ty, Span::mixed_site()), Ident::new(slice, Span::mixed_site()));
        quote_mixed! {
            {
                static DECLARATION: #krate::__private::Declared<#krate::#ty> = #declaration;
                #[#krate::__private::linkme::distributed_slice(#krate::__private::#slice)]
                #[linkme(crate = #krate::__private::linkme)]
                static DECLARED: &#krate::__private::Declared<#krate::#ty> = &DECLARATION;
                #find
            }
        }
    }
}

/// The `source`, or its instance for the key.
fn find(mut source: TokenStream, key: Option<&Expr>, is_weighted: bool, krate: &TokenStream) -> TokenStream {
    let Some(key) = key else { return source };
    if is_weighted {
        source = quote_mixed!(&#krate::__private::Weighted::new(#source, permits));
    }
    // An error about the type of the key, and a conflict, are reported at the key.
    let at_key = key.span();
    let here = respan(at_key, krate);
    quote_spanned!(at_key=> #here::__private::Key::find_in(#source, &(#key)))
}

/// A block that declares a named retry policy and evaluates to the policy in effect, which external settings can replace. The block begins
/// with the item `listed`.
pub(crate) fn policy(name: &Expr, policy: &TokenStream, listed: &TokenStream, krate: &TokenStream) -> TokenStream {
    if let Some(error) = self_error(policy) {
        return error;
    }
    let name = text(name);
    quote_mixed! {
        {
            #listed
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

/// The item that lists the static of the user at `path`, as `register!` does.
pub(crate) fn listed(path: &Path, krate: &TokenStream) -> TokenStream {
    // A static of the wrong type is reported where it is used.
    let reference = quote_spanned!(Span::call_site().located_at(path.span())=> &#path);
    quote_mixed! {
        #[#krate::__private::linkme::distributed_slice(#krate::__private::REGISTERED)]
        #[linkme(crate = #krate::__private::linkme)]
        static STEADFAST_LISTED: #krate::__private::Registered =
            #krate::__private::Registered::new(#reference, ::core::module_path!());
    }
}

/// The item that lists a timeout. `limit` is `None` if it is not a literal.
pub(crate) fn listed_timeout(name: &TokenStream, limit: Option<TokenStream>, krate: &TokenStream) -> TokenStream {
    let limit = option(limit);
    quote_mixed! {
        #[#krate::__private::linkme::distributed_slice(#krate::__private::TIMEOUTS)]
        #[linkme(crate = #krate::__private::linkme)]
        static STEADFAST_LISTED: #krate::__private::DeclaredTimeout =
            #krate::__private::DeclaredTimeout::new(#name, #limit, ::core::module_path!());
    }
}

/// A block that declares the counts of a function with a fallback and begins a call.
///
/// ```text
/// {
///     static STEADFAST_BREAKERS: &[StackBreaker] = &[breakers];
///     static STEADFAST_COUNTS: FallbackCounts = FallbackCounts::new("function", STEADFAST_BREAKERS, module_path!());
///     #[distributed_slice(FALLBACKS)]
///     static STEADFAST_LISTED: &FallbackCounts = &STEADFAST_COUNTS;
///     STEADFAST_COUNTS.begin()
/// }
/// ```
///
/// The names of the items do not hide a static of the user.
pub(crate) fn fallback(name: &TokenStream, breakers: &[TokenStream], krate: &TokenStream) -> TokenStream {
    quote_mixed! {
        {
            static STEADFAST_BREAKERS: &[#krate::__private::StackBreaker] = &[#(#breakers),*];
            static STEADFAST_COUNTS: #krate::__private::FallbackCounts =
                #krate::__private::FallbackCounts::new(#name, STEADFAST_BREAKERS, ::core::module_path!());
            #[#krate::__private::linkme::distributed_slice(#krate::__private::FALLBACKS)]
            #[linkme(crate = #krate::__private::linkme)]
            static STEADFAST_LISTED: &#krate::__private::FallbackCounts = &STEADFAST_COUNTS;
            STEADFAST_COUNTS.begin()
        }
    }
}

/// A circuit breaker of the stack as an expression of type `StackBreaker`. `None` if it is known at run time only.
pub(crate) fn stack_breaker(instance: &Instance, krate: &TokenStream) -> Option<TokenStream> {
    match instance {
        Instance::Named(name) if self_error(&name.to_token_stream()).is_none() => {
            let name = text(name);
            Some(quote_mixed!(#krate::__private::StackBreaker::Named(#name)))
        }
        Instance::Static(path) => {
            let path = without_reference(path);
            let reference = quote_spanned!(Span::call_site().located_at(path.span())=> &#path);
            Some(quote_mixed!(#krate::__private::StackBreaker::Static(#reference)))
        }
        Instance::Named(_) | Instance::RunTime(_) | Instance::Missing => None,
    }
}

/// Removes the `&` and the parentheses around a path.
fn without_reference(path: &Expr) -> &Expr {
    match path {
        Expr::Reference(ExprReference { expr, .. }) => without_reference(expr),
        Expr::Paren(paren) => without_reference(&paren.expr),
        Expr::Group(group) => without_reference(&group.expr),
        path => path,
    }
}

/// The error for settings that name `Self`, as an expression. The settings are part of a static, where the compiler knows no `Self`.
pub(crate) fn self_error(settings: &TokenStream) -> Option<TokenStream> {
    fn find_self(tokens: &TokenStream) -> Option<Span> {
        tokens.clone().into_iter().find_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => Some(ident.span()),
            TokenTree::Group(group) => find_self(&group.stream()),
            _ => None,
        })
    }

    let this = find_self(settings)?;
    let message = "`Self` is not known here, since the values of these options are stored in a static\n\
                   write the name of the type, as in `Client::LIMIT`";
    Some(Error::new(this, message).to_compile_error())
}

/// A name as an expression of type `&'static str`. A constant of another type is reported at the constant, not as an argument of a function.
fn text(name: &Expr) -> TokenStream {
    if let Expr::Lit(_) = name {
        return name.to_token_stream();
    }
    let span = Span::mixed_site().located_at(name.span());
    quote_spanned!(span=> { let name: &'static ::core::primitive::str = #name; name })
}

/// `Some(config)` or `None`.
fn option(config: Option<TokenStream>) -> TokenStream {
    config.map_or_else(
        || quote_mixed!(::core::option::Option::None),
        |config| quote_mixed!(::core::option::Option::Some(#config)),
    )
}
