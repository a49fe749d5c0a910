//! The judgement of an outcome by the condition of a layer.
//!
//! A macro cannot inspect the type of an error. The closures here select a method by the traits that the type implements (autoref
//! specialization), so that a type without `Error` is converted through `Deref` or, if the trait is optional, accepted. If the trait is
//! required, the selected method returns the value unchanged, and the next call, which names the trait by its path, fails to compile.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Expr, Type, spanned::Spanned};

use super::{
    context::Context,
    spans::{located_at, quote_mixed, respan},
};
use crate::syntax::condition::Condition;

/// A call of the runtime function that judges the outcome by the condition. The last of the `arguments` is the error of the outcome.
///
/// | condition | output |
/// | --- | --- |
/// | none, or `any` | `function(arguments)` |
/// | types | `function_by_chain(arguments, as_error, &[types])` |
/// | a predicate | `function_if(arguments, \|error\| predicate(error, is_busy))` |
pub(crate) fn by_condition(
    condition: &Condition,
    function: &str,
    arguments: &TokenStream,
    context: &Context,
) -> TokenStream {
    let (krate, span) = (&context.krate, context.output_span);
    match condition {
        Condition::Default | Condition::Any => context.outcome_call(function, arguments),
        Condition::Types(types) => {
            let (as_error, types) = (as_error(context), type_list(krate, types));
            let arguments = quote_spanned!(span=> #arguments, #as_error, #types);
            context.outcome_call(&format!("{function}_by_chain"), &arguments)
        }
        Condition::Error(closure) | Condition::Value(closure) => {
            let predicate = predicate(krate, closure);
            context.outcome_call(&format!("{function}_if"), &quote_spanned!(span=> #arguments, #predicate))
        }
    }
}

/// A closure that converts an error into `&dyn Error`. A type that does not implement it is reported at the type, with a label at the
/// attribute.
pub(crate) fn as_error(context: &Context) -> TokenStream {
    let (krate, attribute, at_type) = (&context.krate, context.attribute, context.user_output_span());
    let here = respan(attribute, krate);
    let as_dyn_error = quote_spanned!(attribute=> #here::__private::ErrorChain::as_dyn_error);
    let error = quote_spanned!(at_type=> error);
    quote_mixed!(|#error| {
        #[allow(unused_imports)]
        use #krate::__private::{MissingError as _, ViaError as _, ViaErrorDeref as _};
        let #error = (&&#krate::__private::Probe(#error)).chain_target();
        #as_dyn_error(#error)
    })
}

/// A closure that judges an error by its implementation of `Transient`. A type that does not implement it is reported at the type, with a
/// label at the attribute.
pub(crate) fn verdict_of(context: &Context) -> TokenStream {
    let (krate, attribute, at_type) = (&context.krate, context.attribute, context.user_output_span());
    let here = respan(attribute, krate);
    // The location of these identifiers is that of the type, and their hygiene that of the user's code, so that an error does not name the
    // topmost attribute. No code of the user is in their scope.
    let error = quote_spanned!(at_type=> error);
    let [is_transient, retry_after, is_rejection] = ["is_transient", "retry_after", "is_rejection"].map(|method| {
        let method = Ident::new(method, attribute);
        match context.missing_feature.map(|with_feature| Ident::new(with_feature, attribute)) {
            // The error about this trait names the feature.
            Some(with_feature) => quote_spanned!(attribute=> #here::__private::#with_feature::#method),
            None => quote_spanned!(attribute=> #here::Transient::#method),
        }
    });
    quote_mixed!(|#error| {
        #[allow(unused_imports)]
        use #krate::__private::{MissingTransient as _, ViaDeref as _, ViaTransient as _};
        let #error = (&&#krate::__private::Probe(#error)).transient_target();
        #krate::__private::verdict_of(#is_transient(#error), || #retry_after(#error), || #is_rejection(#error))
    })
}

/// A closure that converts a value into `Some(&dyn Error)`, or into `None` if its type does not implement it.
pub(crate) fn as_error_if_any(krate: &TokenStream) -> TokenStream {
    quote_mixed!(|error| {
        #[allow(unused_imports)]
        use #krate::__private::{LookDeref as _, LookError as _, NoError as _};
        (&&#krate::__private::Probe(error)).look()
    })
}

/// A closure that returns the error in an outcome as `Some(&dyn Display)`, or `None` if there is no error or its type does not implement it.
pub(crate) fn error_display(krate: &TokenStream) -> TokenStream {
    quote_mixed!(|outcome| {
        #[allow(unused_imports)]
        use #krate::__private::{DisplayError as _, NoDisplay as _};
        (&&#krate::__private::Probe(outcome)).error_display()
    })
}

/// A closure that returns an error as `Some(&dyn Display)`, or `None` if its type does not implement it.
pub(crate) fn as_display(krate: &TokenStream) -> TokenStream {
    quote_mixed!(|error| {
        #[allow(unused_imports)]
        use #krate::__private::{DisplayValue as _, NoDisplayValue as _};
        (&&#krate::__private::Probe(error)).as_dyn_display()
    })
}

/// Input: `is_busy`. Output: `|error| predicate(error, is_busy)`.
pub(crate) fn predicate(krate: &TokenStream, closure: &Expr) -> TokenStream {
    let call = closure_call("predicate", &quote_mixed!(error,), closure, krate);
    quote_mixed!(|error| #call)
}

/// Input: `predicate`, `error,` and `is_busy`. Output: `predicate(error, is_busy)`, where a closure or function of another type is reported
/// at `is_busy`.
pub(crate) fn closure_call(
    function: &str,
    arguments: &TokenStream,
    closure: &impl ToTokens,
    krate: &TokenStream,
) -> TokenStream {
    let span = Span::mixed_site().located_at(closure.span());
    let (krate, function) = (located_at(span, krate), Ident::new(function, span));
    quote_spanned!(span=> #krate::__private::#function(#arguments #closure))
}

/// `&[<A as ErrorType>::is_type_of, <B as ErrorType>::is_type_of]`
pub(crate) fn type_list(krate: &TokenStream, types: &[Type]) -> TokenStream {
    let checks = types.iter().map(|ty| {
        let span = Span::mixed_site().located_at(ty.span());
        let krate = located_at(span, krate);
        quote_spanned!(span=> <#ty as #krate::__private::ErrorType>::is_type_of)
    });
    quote_mixed!(&[#(#checks),*])
}
