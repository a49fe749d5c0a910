//! The value of a rejected call by the option `rejection`.

use proc_macro2::{Ident, Span, TokenStream};
use syn::Expr;

use super::{context::Context, dispatch::closure_call, spans::quote_mixed};

impl Context {
    /// The value of a rejected call with the option `rejection = make`.
    pub(super) fn made_by(&self, make: &Expr, from: &str, rejection: &str) -> TokenStream {
        let Self { krate, output, .. } = self;
        let function = if from == "FromCircuitOpen" { "circuit_rejection" } else { "rejection" };
        let rejection = Ident::new(rejection, Span::mixed_site());
        if output.to_string() == "_" {
            // The type of an `impl Trait` cannot be written. It is not a `Result`, or the written type would say so.
            let arguments = quote_mixed!(#rejection, ::core::marker::PhantomData,);
            return closure_call(function, &arguments, make, krate);
        }
        let arguments = quote_mixed!(#rejection, (&&call).expected(),);
        let value = closure_call(function, &arguments, make, krate);
        quote_mixed! {
            {
                #[allow(unused_imports)]
                use #krate::__private::{RejectedResult as _, RejectedValue as _};
                let call = #krate::__private::RejectedCall::<#output>::NEW;
                (&&call).value(#value)
            }
        }
    }
}
