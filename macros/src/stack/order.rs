//! The order lints: errors for orders of a stack that are almost certainly a mistake.

use super::layers::StackLayer;
use crate::{
    attributes::{Attribute as _, Timeouts, circuit_breaker::CircuitBreaker},
    errors::Errors,
    syntax::duration::text,
};

/// Reports each layer that makes an attribute above it useless, repeats it, or does not work with the timeouts around it, unless an attribute
/// of the stack has `allow_order`. The layers are in written order, the topmost first.
pub(super) fn check(layers: &[StackLayer], errors: &mut Errors) {
    check_limits(layers, errors);
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
        if above.iter().any(|above| is_same_breaker(above, current)) {
            errors.at_span(*span, SAME_BREAKER);
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

/// Reports a rate limit or bulkhead that a layer above uses as well: each call would take its permits twice, and a call that holds the
/// last permit of a bulkhead would wait for itself.
fn check_limits(layers: &[StackLayer], errors: &mut Errors) {
    for (index, StackLayer { name, span, layer, .. }) in layers.iter().enumerate() {
        let Some(limit) = layer.limit() else { continue };
        let mut above = layers[..index].iter().filter(|above| above.name == *name);
        if above.any(|above| above.layer.limit().is_some_and(|above| above.is_same(limit))) {
            let message = format!(
                "this `#[{name}]` is on the function twice: each call would take its permit twice\nremove one of them; a call takes several permits with `permits = 2`"
            );
            errors.at_span(*span, message);
        }
    }
}

const SAME_BREAKER: &str = "two `#[circuit_breaker]` with the same name are on this function: each call counts twice\n\
    remove one of them, or use another name\n\
    if this is intended: `#[circuit_breaker(..., allow_order)]`";

fn is_same_breaker(above: &StackLayer, below: &StackLayer) -> bool {
    below.name == CircuitBreaker::NAME
        && above.name == below.name
        && below.breaker.is_some()
        && above.breaker == below.breaker
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
