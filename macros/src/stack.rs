//! The stack of attributes on one function, expanded at once.
//!
//! The compiler expands the topmost attribute first. If each attribute wrapped the body on its own, the topmost one would become the
//! innermost layer. So the first attribute that is expanded removes its siblings from the item and builds the whole stack in written order.

mod compose;
#[cfg(test)]
mod foreign_parsers;
mod layers;
mod misplaced;
mod order;
mod requirements;
mod siblings;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{parse2, spanned::Spanned};

use self::{layers::StackLayer, siblings::Sibling};
use crate::{attributes::Row, errors::Errors, item::function::Function};

/// Expands the topmost attribute of an item together with its siblings.
///
/// Input: the arguments of `#[retry(...)]`, and `#[circuit_breaker(...)] #[other] fn f() -> R { body }`. Output:
/// `#[other] fn f() -> R { ... }` with a body that runs both layers; after an error, the function with its old body, and the errors.
#[allow(clippy::needless_pass_by_value, reason = "the entry points own their arguments")]
pub(crate) fn expand(first: &Row, args: TokenStream, item: TokenStream) -> TokenStream {
    if siblings::is_marker(&args) {
        return TokenStream::new();
    }
    let mut function: Function = match parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return misplaced::expand(first, &error, item),
    };
    let mut errors = Errors::default();
    let siblings = siblings::take(&mut function);
    if function.is_binding() {
        return function.with_body(&function.signature, function.body.stream());
    }
    if siblings::is_expanded(&function) {
        errors.at_span(Span::call_site(), siblings::split_error(first.name));
        return unchanged(&function, &siblings::marker_items(&siblings), errors);
    }
    function.check_caller(first.name, &mut errors);
    let mut written = args.clone();
    let mut layers = vec![StackLayer::parse(first, args, Span::call_site(), &function, &mut errors)];
    for Sibling { row, path, args } in &siblings {
        written.extend(args.clone());
        layers.push(StackLayer::parse(row, args.clone(), path.span(), &function, &mut errors));
    }
    requirements::check(&layers, &function, &mut errors);
    order::check(&layers, &mut errors);
    let markers = siblings::marker_items(&siblings);
    let expanded = siblings::expanded_item();
    let (layers, spans): (Vec<_>, Vec<_>) = layers.into_iter().map(|layer| (layer.layer, layer.span)).unzip();
    errors
        .into_result(())
        .and_then(|()| compose::compose(&function, &layers, &spans, &written, &quote!(#expanded #markers)))
        .unwrap_or_else(|errors| unchanged(&function, &markers, errors))
}

/// The function with its old body and the errors. The function is kept, so that its callers cause no further errors.
fn unchanged(function: &Function, prelude: &TokenStream, errors: Errors) -> TokenStream {
    let body = function.body.stream();
    let function = function.with_body(&function.signature, quote!(#prelude #body));
    let errors = errors.into_tokens();
    quote!(#function #errors)
}
