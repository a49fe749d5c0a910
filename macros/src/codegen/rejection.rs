//! The value of a rejected call: the option `rejection`, and the conversions of a whole stack.

use proc_macro2::{Ident, Span, TokenStream};
use syn::Expr;

use super::{context::Context, conversions::Conversions, dispatch::closure_call, spans::quote_mixed};
use crate::item::uses::mentions;

impl Context {
    /// The value of a rejected call with the option `rejection = make`.
    pub(super) fn made_by(&self, make: &Expr, from: &str, rejection: &str) -> TokenStream {
        let Self { krate, output, .. } = self;
        let function = if from == "FromCircuitOpen" { "circuit_rejection" } else { "rejection" };
        let rejection = Ident::new(rejection, Span::mixed_site());
        let make = self.user_expression(make);
        if output.to_string() == "_" {
            // The type of an `impl Trait` cannot be written. It is not a `Result`, or the written type would say so.
            let arguments = quote_mixed!(#rejection, ::core::marker::PhantomData,);
            return closure_call(function, &arguments, &make, krate);
        }
        let arguments = quote_mixed!(#rejection, (&&call).expected(),);
        let value = closure_call(function, &arguments, &make, krate);
        quote_mixed! {
            {
                #[allow(unused_imports)]
                use #krate::__private::{RejectedResult as _, RejectedValue as _};
                let call = #krate::__private::RejectedCall::<#output>::NEW;
                (&&call).value(#value)
            }
        }
    }

    /// The conversion `converted` of a rejection by the trait `from`, which is not type-checked if a conversion of a layer below is missing: so
    /// the compiler reports one error for a type that lacks several.
    ///
    /// Output: `(&&ConversionsBelow::<E, (BulkheadFull,)>::NEW).kind().finish(converted)`.
    pub(super) fn unless_reported(&self, converted: &TokenStream, from: &str, below: Conversions) -> TokenStream {
        let Self { krate, output, .. } = self;
        let others: Vec<_> =
            below.others(from).into_iter().map(|other| Ident::new(other, Span::mixed_site())).collect();
        // A type that cannot be written could not be inferred there.
        if others.is_empty() || mentions(output.clone(), &Ident::new("_", Span::mixed_site())) {
            return converted.clone();
        }
        quote_mixed! {
            {
                #[allow(unused_imports)]
                use #krate::__private::{CompleteBelow as _, MissingBelow as _};
                (&&#krate::__private::ConversionsBelow::<
                    <#output as #krate::__private::CallResult>::Error,
                    (#(#krate::#others,)*)
                >::NEW).kind().finish(#converted)
            }
        }
    }
}
