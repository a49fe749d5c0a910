//! `#[timeout]` as a layer.

use quote::quote_spanned;

use super::{Attempt, Context, code};
use crate::args::timeout::Timeout;

/// Input: `attempt`. Output:
///
/// ```text
/// let call = pin!(async { attempt });
/// let outcome: R = match within(const { &limit }, call).await {
///     Ok(outcome) => outcome,
///     Err(timed_out) => CallResult::from_error(FromTimedOut::from_rejection(timed_out)),
/// };
/// outcome
/// ```
///
/// The call is gone before anything else happens: it is a local variable of this block. It is pinned here, since a future that
/// is handed on by value would be kept twice.
pub(super) fn expand(timeout: &Timeout, attempt: &Attempt, context: &Context) -> Attempt {
    let (krate, output) = (&context.krate, &context.output);
    let place = context.output_place;
    let (limit, call) = (timeout.value(krate, &context.function), &attempt.code);
    let value = context.rejected("FromTimedOut", &quote_spanned!(place=> timed_out));
    let (output, late) = if attempt.has_passage {
        (code!((#output, #krate::__private::Disposition)), code!((#value, #krate::__private::Disposition::Called)))
    } else {
        (code!(#output), value)
    };
    let code = code! {
        {
            let call = ::core::pin::pin!(async { #call });
            let outcome: #output = match #krate::__private::within(const { &#limit }, call).await {
                ::core::result::Result::Ok(outcome) => outcome,
                ::core::result::Result::Err(timed_out) => #late,
            };
            outcome
        }
    };
    Attempt { future: None, code, ..*attempt }
}
