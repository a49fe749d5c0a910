//! The order lints: errors for orders of a stack that are almost certainly a mistake.

use super::layers::StackLayer;
use crate::{attributes::Timeouts, errors::Errors};

/// Reports each layer that makes an attribute above it useless, or that does not work with the timeouts around it, unless an attribute of the
/// stack has `allow_order`. The layers are in written order, the topmost first.
pub(super) fn check(layers: &[StackLayer], errors: &mut Errors) {
    check_limits(layers, errors);
    if layers.iter().any(|layer| layer.allows_order) {
        return;
    }
    // An option that could not be parsed may be the one that an error about timeouts would ask for.
    let are_options_valid = errors.is_empty();
    for (index, StackLayer { span, layer, .. }) in layers.iter().enumerate() {
        let mut above = layers.iter().take(index).rev();
        if let Some(error) = above.find_map(|above| layer.order_error(above.name)) {
            errors.at_span(*span, error);
        }
        let [above, below] =
            [&layers[..index], &layers[index + 1..]].map(|layers| layers.iter().map(|layer| &*layer.layer));
        if let (Some(error), true) = (layer.timeout_error(Timeouts::between(above, below)), are_options_valid) {
            errors.push(error);
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
