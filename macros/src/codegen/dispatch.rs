//! The judgement of an outcome by the condition of a layer.
//!
//! A macro does not know the type of an error. The closures here select a method by the traits that the type implements (autoref
//! specialization), so that a type which lacks a trait is reported with a message of steadfast, or is accepted if the trait is optional.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Type, spanned::Spanned};

use super::{
    context::Context,
    spans::{located_at, quote_mixed},
};
use crate::syntax::condition::Condition;

/// A call of the runtime function that judges the outcome by the condition.
///
/// | condition | output |
/// | --- | --- |
/// | none, or `any` | `function(outcome)` |
/// | types | `function_by_chain(outcome, as_error, &[types])` |
/// | a predicate | `function_by_error(outcome, predicate)` |
pub(crate) fn by_condition(
    condition: &Condition,
    function: &str,
    outcome: &TokenStream,
    context: &Context,
) -> TokenStream {
    let (krate, span) = (&context.krate, context.output_span);
    match condition {
        Condition::Default | Condition::Any => context.bounded_call(function, outcome),
        Condition::Types(types) => {
            let (as_error, types) = (as_error(krate, span), type_list(krate, types));
            let arguments = quote_spanned!(span=> #outcome, #as_error, #types);
            context.bounded_call(&format!("{function}_by_chain"), &arguments)
        }
        Condition::Error(predicate) | Condition::Value(predicate) => {
            context.bounded_call(&format!("{function}_by_error"), &quote_spanned!(span=> #outcome, #predicate))
        }
    }
}

/// A closure that converts an error into `&dyn Error`. A type that does not implement it is reported at `span`.
pub(crate) fn as_error(krate: &TokenStream, span: Span) -> TokenStream {
    quote_spanned!(span=> |error| {
        #[allow(unused_imports)]
        use #krate::__private::{IsError as _, IsNoError as _, PointsToError as _};
        (&&#krate::__private::AsError(error)).as_error()
    })
}

/// A closure that judges whether an error is transient. A type that does not implement `Transient` is reported at `span`.
pub(crate) fn is_transient(krate: &TokenStream, span: Span) -> TokenStream {
    quote_spanned!(span=> |error| {
        #[allow(unused_imports)]
        use #krate::__private::{ViaDeref as _, ViaTransient as _, MissingTransient as _};
        (&&#krate::__private::Judge(error)).verdict()
    })
}

/// A closure that converts a value into `Some(&dyn Error)`, or into `None` if its type does not implement it.
pub(crate) fn as_error_if_any(krate: &TokenStream) -> TokenStream {
    quote_mixed!(|error| {
        #[allow(unused_imports)]
        use #krate::__private::{LookAtError as _, NoError as _, LookThrough as _};
        (&&#krate::__private::LookAt(error)).look()
    })
}

/// `&[is_type::<A>, is_type::<B>]`
pub(crate) fn type_list(krate: &TokenStream, types: &[Type]) -> TokenStream {
    let checks = types.iter().map(|ty| {
        let span = Span::mixed_site().located_at(ty.span());
        let krate = located_at(span, krate);
        quote_spanned!(span=> #krate::__private::is_type::<#ty>)
    });
    quote_mixed!(&[#(#checks),*])
}
