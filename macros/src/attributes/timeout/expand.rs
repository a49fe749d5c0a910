//! `#[timeout]` as a layer: a time limit around the future.

use super::options::Timeout;
use crate::codegen::{
    context::{Call, Context},
    spans::quote_mixed,
};

/// Input: `call`. Output:
///
/// ```text
/// let call = pin!(async { call });
/// let outcome: R = match within(const { &limit }, call).await {
///     Ok(outcome) => outcome,
///     Err(timed_out) => CallResult::from_error(FromTimedOut::from_rejection(timed_out)),
/// };
/// outcome
/// ```
///
/// A limit that is not a constant is evaluated before: `let limit: Duration = self.limit;`.
///
/// The future is a local variable of this block, so that it is dropped before any later code runs. It is pinned here, because a future that
/// is passed by value would be stored twice.
pub(super) fn expand(timeout: &Timeout, call: &Call, context: &Context) -> Call {
    let (krate, output) = (&context.krate, &context.output);
    let (binding, limit, code) = (timeout.binding(context), timeout.reference(context), &call.code);
    let value = context.rejected(["FromTimedOut", "timed_out"], timeout.rejection.as_ref());
    let (output, timed_out) = if call.has_disposition {
        (
            quote_mixed!((#output, #krate::__private::Disposition)),
            quote_mixed!((#value, #krate::__private::Disposition::Called)),
        )
    } else {
        (quote_mixed!(#output), value)
    };
    let code = quote_mixed! {
        {
            #binding
            let call = ::core::pin::pin!(async { #code });
            let outcome: #output = match #krate::__private::within(#limit, call).await {
                ::core::result::Result::Ok(outcome) => outcome,
                ::core::result::Result::Err(timed_out) => #timed_out,
            };
            outcome
        }
    };
    Call { future: None, code, ..*call }
}
