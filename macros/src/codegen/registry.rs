//! The statics that declare breakers, bulkheads, rate limits and retry policies, and list them in the registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, spanned::Spanned};

use super::{
    context::Context,
    spans::{located_at, quote_mixed, respan},
};
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
    pub(crate) fn binding(&self, context: &Context) -> TokenStream {
        let Some(value) = self.instance.run_time() else { return TokenStream::new() };
        // A value of the wrong type is reported at the expression.
        let span = Span::mixed_site().located_at(value.span());
        let value = context.user_expression(value);
        // The type is not expected in the expression itself, whose branches may be references.
        let reference = Ident::new("own", span);
        let (krate, ty) = (located_at(span, self.krate), Ident::new(self.ty, span));
        let keying = matches!(self.ty, "CircuitBreaker" | "RateLimit").then(|| quote_mixed!(<_>));
        quote_mixed! {
            let own = &(#value);
            let own: &#krate::#ty #keying = #reference;
        }
    }

    /// Input: `name = "search", limit = 100, per = 60s`. Output: a block that declares the instance and evaluates to it:
    ///
    /// ```text
    /// {
    ///     static DECLARATION: Declared<RateLimit> = Declared::named("search", Some(config));
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
    pub(crate) fn block(self) -> TokenStream {
        let Self { attribute, instance, config, key, max_keys, failure_if, hang, ty, slice, krate } = self;
        let here = respan(attribute, krate);
        let mut declaration = match instance {
            Instance::Named(name) => {
                let config = option(config);
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
            Instance::RunTime(_) => return find(quote_mixed!(own), key, krate),
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
        let get = quote_spanned!(attribute=> get());
        let find = find(quote_mixed!(DECLARATION.#get), key, krate);
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
fn find(source: TokenStream, key: Option<&Expr>, krate: &TokenStream) -> TokenStream {
    let Some(key) = key else { return source };
    // An error about the type of the key, and a conflict, are reported at the key.
    let at_key = key.span();
    let here = respan(at_key, krate);
    quote_spanned!(at_key=> #here::__private::Key::find_in(#source, &(#key)))
}

/// A block that declares a named retry policy and evaluates to the policy in effect, which external settings can replace.
pub(crate) fn policy(name: &Expr, policy: &TokenStream, krate: &TokenStream) -> TokenStream {
    quote_mixed! {
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

/// `Some(config)` or `None`.
fn option(config: Option<TokenStream>) -> TokenStream {
    config.map_or_else(
        || quote_mixed!(::core::option::Option::None),
        |config| quote_mixed!(::core::option::Option::Some(#config)),
    )
}
