//! The order lints: errors for orders of a stack that are almost certainly a mistake.

use super::layers::StackLayer;
use crate::{attributes::Timeouts, errors::Errors, syntax::duration::text};

/// Reports each layer that makes an attribute above it useless, repeats it, or does not work with the timeouts around it, unless an attribute
/// of the stack has `allow_order`. The layers are in written order, the topmost first.
pub(super) fn check(layers: &[StackLayer], errors: &mut Errors) {
    if layers.iter().any(|layer| layer.allows_order) {
        return;
    }
    // An option that could not be parsed may be the one that an error about timeouts would ask for.
    let are_options_valid = errors.is_empty();
    for (index, current) in layers.iter().enumerate() {
        let StackLayer { span, layer, .. } = current;
        let (above, below) = (&layers[..index], &layers[index + 1..]);
        if let Some(error) = above.iter().rev().find_map(|above| layer.order_error(above.name)) {
            errors.at_span(*span, error);
        }
        if above.iter().any(|above| uses_same_instance(above, current)) {
            errors.at_span(*span, same_instance(current.name));
        }
        if are_options_valid {
            if let Some(error) = never_ends_a_call(current, below) {
                errors.at_span(*span, error);
            }
            let [above, below] = [above, below].map(|layers| layers.iter().map(|layer| &*layer.layer));
            if let Some(error) = layer.timeout_error(Timeouts::between(above, below)) {
                errors.push(error);
            }
        }
    }
}

fn uses_same_instance(above: &StackLayer, below: &StackLayer) -> bool {
    above.name == below.name
        && below.requirements.value_predicate.is_none()
        && below.layer.time_limit().is_none()
        && below.instance.is_some()
        && above.instance == below.instance
}

fn same_instance(attribute: &str) -> String {
    let effect = match attribute {
        "bulkhead" => "each call takes two permits, and can wait for itself",
        _ => "each call counts twice",
    };
    format!(
        "two `#[{attribute}]` with the same name are on this function: {effect}\n\
         remove one of them, or use another name\n\
         if this is intended: `#[{attribute}(..., allow_order)]`"
    )
}

/// The error for a timeout above a shorter one, if no attribute is between them.
fn never_ends_a_call(timeout: &StackLayer, below: &[StackLayer]) -> Option<String> {
    let limit = timeout.layer.time_limit()?.known()?;
    let shorter = below.first()?.layer.time_limit()?.known().filter(|shorter| *shorter < limit)?;
    let shorter = text(shorter);
    Some(format!(
        "this timeout never ends a call: the one below ends it after {shorter}, and no attribute is between them\n\
         remove one of them; a timeout for all attempts is above `#[retry]`, and one for each attempt below it\n\
         if this is intended: `#[timeout(..., allow_order)]`"
    ))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use crate::{
        attributes::{Row, circuit_breaker::CircuitBreaker, fallback::Fallback, retry::Retry},
        stack::expand,
    };

    #[test]
    fn a_fallback_below_a_retry_or_breaker_is_an_error() {
        let function = |below| quote!(#below fn f() -> Result<(), E> { Ok(()) });
        let fallback = || function(quote!(#[fallback(cached)]));
        for (output, is_error) in [
            (expand(&Row::of::<Retry>(), quote!(), fallback()), true),
            (expand(&Row::of::<CircuitBreaker>(), quote!(name = "b"), fallback()), true),
            (expand(&Row::of::<Retry>(), quote!(), function(quote!(#[fallback(cached, allow_order)]))), false),
            (expand(&Row::of::<Retry>(), quote!(), function(quote!(#[timeout(1s)]))), true), // a timeout needs an `async fn`
            (expand(&Row::of::<Fallback>(), quote!(cached), function(quote!(#[retry]))), false),
        ] {
            assert_eq!(output.to_string().contains("compile_error"), is_error, "{output}");
        }
    }
}
