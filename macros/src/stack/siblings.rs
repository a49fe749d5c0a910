//! The other attributes of this crate on the same item.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Meta, Path,
    parse::{ParseStream, Parser as _},
};

use crate::{
    attributes::{ATTRIBUTES, Row},
    item::function::Function,
};

/// An attribute that was removed from its item.
pub(super) struct Sibling {
    pub(super) row: &'static Row,
    pub(super) path: Path,
    pub(super) args: TokenStream,
}

/// Removes the attributes of this crate from the function and returns them. Attributes of other crates stay.
pub(super) fn take(function: &mut Function) -> Vec<Sibling> {
    let mut siblings = Vec::new();
    function.attributes.retain(|attribute| match find(attribute) {
        Some(row) => {
            siblings.push(Sibling { row, path: attribute.path().clone(), args: arguments(attribute) });
            false
        }
        None => true,
    });
    siblings
}

/// Removes the attributes of this crate at the start of an item that is not a function, so that one of them reports the mistake. Returns
/// the items that keep their paths, and the rest.
pub(super) fn strip(item: TokenStream) -> (TokenStream, TokenStream) {
    let parser = |input: ParseStream<'_>| Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?));
    let Ok((attributes, rest)) = parser.parse2(item.clone()) else { return (TokenStream::new(), item) };
    let (others, own): (Vec<_>, Vec<_>) = attributes.into_iter().partition(|attribute| find(attribute).is_none());
    (markers(own.iter().map(Attribute::path)), quote!(#(#others)* #rest))
}

/// Finds the attribute of this crate that has the last segment of the path as its name, however it is imported.
fn find(attribute: &Attribute) -> Option<&'static Row> {
    let last = attribute.path().segments.last()?;
    ATTRIBUTES.iter().find(|row| last.ident == row.name)
}

/// The arguments of an attribute: the tokens in its parentheses. The value in `#[retry = 3]` is an argument as well, so that it is reported
/// like the one in `#[retry(3)]`.
fn arguments(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => pair.value.to_token_stream(),
    }
}

/// The argument of the attributes that [`marker_items`] writes.
const MARKER: &str = "__steadfast_taken";

/// Returns true for the arguments of an attribute that [`marker_items`] wrote. Its item must be removed.
pub(super) fn is_marker(args: &TokenStream) -> bool {
    args.to_string() == MARKER
}

/// Items that keep the paths of the siblings in the output. Each carries one sibling, which expands to nothing.
///
/// The compiler resolves the paths and an editor finds them, as if the siblings were still on the function. Without these items, an import
/// of a sibling would be unused.
pub(super) fn marker_items(siblings: &[Sibling]) -> TokenStream {
    markers(siblings.iter().map(|sibling| &sibling.path))
}

fn markers<'a>(paths: impl Iterator<Item = &'a Path>) -> TokenStream {
    let marker = Ident::new(MARKER, Span::mixed_site());
    quote!(#(#[#paths(#marker)] const _: () = ();)*)
}
