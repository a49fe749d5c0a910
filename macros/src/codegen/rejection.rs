//! The value of a rejected call that the option `rejection` creates.

use proc_macro2::{Ident, Span, TokenStream};
use syn::Expr;

use super::{context::Context, dispatch::closure_call, spans::quote_mixed};

impl Context {
    /// The value of a rejected call with the option `rejection = make`.
    pub(super) fn made_by(&self, make: &Expr, from: &str, rejection: &str) -> TokenStream {
        let Self { krate, output, .. } = self;
        let function = if from == "FromCircuitOpen" { "circuit_rejection" } else { "rejection" };
        let rejection = Ident::new(rejection, Span::mixed_site());
        let made = closure_call(function, &quote_mixed!(#rejection,), &self.user_expression(make), krate);
        if output.to_string() == "_" {
            // The type of an `impl Trait` cannot be written. It is not a `Result`, or the written type would say so.
            return made;
        }
        quote_mixed! {
            {
                #[allow(unused_imports)]
                use #krate::__private::{RejectedResult as _, RejectedValue as _};
                (&&#krate::__private::RejectedCall::<#output>::NEW).value(#made)
            }
        }
    }
}
