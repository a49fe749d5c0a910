//! The statics that declare breakers, bulkheads, rate limits and retry policies, and list them in the registry.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, spanned::Spanned};

use super::spans::{quote_mixed, respan};
use crate::syntax::{instance::Instance, values::Count};

/// A declaration of a breaker, a bulkhead or a rate limit.
pub(crate) struct Declaration<'a> {
    /// The span of the attribute. The declaration remembers it as its location, and conflicts are reported there.
    pub(crate) attribute: Span,
    pub(crate) instance: &'a Instance,
    /// The settings as a const expression; `None` if they are declared elsewhere.
    pub(crate) config: Option<TokenStream>,
    /// The key that selects one of the instances with this name.
    pub(crate) key: Option<&'a Expr>,
    pub(crate) krate: &'a TokenStream,
}

impl Declaration<'_> {
    /// Input: `name = "search", limit = 100, per = 60s`. Output: a block that declares it and gives the instance:
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
    /// `ty` and `slice` are the type of the instance and the slice that lists it. With a key it ends in `DECLARATION.get().limit(&key)`.
    pub(crate) fn limit(self, [ty, slice]: [&str; 2]) -> TokenStream {
        let Self { attribute, instance, config, key, krate } = self;
        let here = respan(attribute, krate);
        let declaration = match instance {
            Instance::Named(name) => {
                let config = option(config);
                quote_spanned!(attribute=> #here::__private::Declared::named(#name, #config))
            }
            Instance::Static(path) => {
                let own = reference(path);
                quote_spanned!(attribute=> #here::__private::Declared::of(#own))
            }
            Instance::Missing => return TokenStream::new(),
        };
        let get = quote_spanned!(attribute=> get());
        let find = match key {
            None => quote_mixed!(DECLARATION.#get),
            Some(key) => {
                // An error about the type of the key is reported at the key.
                let at_key = key.span();
                let of_key = quote_spanned!(at_key=> limit(&(#key)));
                quote_mixed!(DECLARATION.#get.#of_key)
            }
        };
        let ty = Ident::new(ty, Span::mixed_site());
        listed(&quote_mixed!(Declared<#krate::#ty>), &declaration, slice, &find, krate)
    }

    /// A block that declares a breaker and gives it, with a `Declaration` in place of `Declared`. `failure_if` is the text of its condition.
    pub(crate) fn breaker(self, max_keys: Option<&Count>, failure_if: Option<String>) -> TokenStream {
        let Self { attribute, instance, config, key, krate } = self;
        let here = respan(attribute, krate);
        let declaration = match instance {
            Instance::Named(name) => {
                let config = option(config);
                match (key, max_keys) {
                    (None, _) => quote_spanned!(attribute=> #here::__private::Declaration::named(#name, #config)),
                    (Some(_), None) => quote_spanned!(attribute=>
                        #here::__private::Declaration::named_keyed(#name, #config, ::core::option::Option::None)
                    ),
                    (Some(_), Some(max_keys)) => quote_spanned!(attribute=>
                        #here::__private::Declaration::named_keyed(#name, #config, ::core::option::Option::Some(#max_keys))
                    ),
                }
            }
            Instance::Static(path) => {
                let own = reference(path);
                match key {
                    Some(_) => quote_spanned!(attribute=> #here::__private::Declaration::of_keyed(#own)),
                    None => quote_spanned!(attribute=> #here::__private::Declaration::of(#own)),
                }
            }
            Instance::Missing => return TokenStream::new(),
        };
        let declaration = match failure_if {
            Some(text) => quote_spanned!(attribute=> #declaration.failure_if(#text)),
            None => declaration,
        };
        let find = match key {
            Some(key) => {
                // An error about the type of the key is reported at the key.
                let at_key = key.span();
                quote_spanned!(at_key=> keyed_breaker(&(#key)))
            }
            None => quote_spanned!(attribute=> breaker()),
        };
        listed(&quote_mixed!(Declaration), &declaration, "DECLARATIONS", &quote_mixed!(DECLARATION.#find), krate)
    }
}

/// A block that declares a retry policy with a name, and gives the policy that is in effect: settings from outside can replace it.
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

/// A block with the `declaration` as a static of type `ty`, which `slice` lists. Its value is `find`.
fn listed(
    ty: &TokenStream,
    declaration: &TokenStream,
    slice: &str,
    find: &TokenStream,
    krate: &TokenStream,
) -> TokenStream {
    let slice = Ident::new(slice, Span::mixed_site());
    quote_mixed! {
        {
            static DECLARATION: #krate::__private::#ty = #declaration;
            #[#krate::__private::linkme::distributed_slice(#krate::__private::#slice)]
            #[linkme(crate = #krate::__private::linkme)]
            static DECLARED: &#krate::__private::#ty = &DECLARATION;
            #find
        }
    }
}

/// `&path`. A static of the wrong type is reported at its path.
fn reference(path: &Expr) -> TokenStream {
    let span = path.span();
    quote_spanned!(span=> &#path)
}

/// `Some(config)` or `None`.
fn option(config: Option<TokenStream>) -> TokenStream {
    config.map_or_else(
        || quote_mixed!(::core::option::Option::None),
        |config| quote_mixed!(::core::option::Option::Some(#config)),
    )
}
