//! `#[timeout]` as a layer: a time limit around the future.

use super::options::Timeout;
use crate::{
    attributes::{Position, Reads},
    codegen::{
        context::{Call, Context},
        spans::quote_mixed,
    },
};

/// Input: `call`. Output:
///
/// ```text
/// #[distributed_slice(TIMEOUTS)]
/// static STEADFAST_LISTED: DeclaredTimeout = DeclaredTimeout::new("function", Some(limit), module_path!());
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
/// is passed by value would be stored twice. With the option `rejection`, whose closure may use the arguments, it is dropped before the value
/// is made:
///
/// ```text
/// let outcome = {
///     let call = pin!(async { call });
///     let outcome = within(const { &limit }, call).await;
///     outcome
/// };
/// ```
///
/// If the closure may make a success and a layer above needs the disposition, the block evaluates to a pair of the outcome and the
/// disposition.
pub(super) fn expand(timeout: &Timeout, call: &Call, position: Position, context: &Context) -> Call {
    let (krate, output) = (&context.krate, &context.output);
    let (listed, binding, limit) = (timeout.listed(context), timeout.binding(), timeout.reference(context));
    let value = context.rejected(["FromTimedOut", "timed_out"], timeout.rejection.as_ref());
    let makes_values = context.makes_values(timeout.rejection.as_ref());
    let has_disposition = call.has_disposition || makes_values && position.read_above != Reads::Nothing;
    let (ty, timed_out) = if has_disposition {
        (
            quote_mixed!((#output, #krate::__private::Disposition)),
            quote_mixed!((#value, #krate::__private::Disposition::TimedOut)),
        )
    } else {
        (quote_mixed!(#output), value)
    };
    let code = if has_disposition { call.with_disposition(context) } else { call.code.clone() };
    let call_in_place = quote_mixed!(let call = ::core::pin::pin!(async { #code }););
    let ended = quote_mixed!(#krate::__private::within(#limit, call).await);
    let (before, ended) = if timeout.rejection.is_some() {
        (None, quote_mixed!({ #call_in_place let outcome = #ended; outcome }))
    } else {
        (Some(call_in_place), ended)
    };
    let code = quote_mixed! {
        {
            #listed
            #binding
            #before
            let outcome: #ty = match #ended {
                ::core::result::Result::Ok(outcome) => outcome,
                ::core::result::Result::Err(timed_out) => #timed_out,
            };
            outcome
        }
    };
    Call { future: None, code, has_disposition, has_made_values: call.has_made_values || makes_values, ..*call }
}
