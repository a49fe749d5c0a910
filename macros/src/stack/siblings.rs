//! The other attributes of this crate on the same item.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, Meta, Path};

use crate::{
    attributes::{ATTRIBUTES, Row},
    item::function::Function,
};

/// An attribute that was taken off its item.
pub(super) struct Sibling {
    pub(super) row: &'static Row,
    pub(super) path: Path,
    pub(super) args: TokenStream,
}

/// Takes the attributes of this crate off the function. Attributes of other crates stay.
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

/// Finds an attribute by the last segment of its path, so that the way in which it is imported does not matter.
fn find(attribute: &Attribute) -> Option<&'static Row> {
    let last = attribute.path().segments.last()?;
    ATTRIBUTES.iter().find(|row| last.ident == row.name)
}

/// The tokens in the parentheses of an attribute.
fn arguments(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
    }
}

/// The argument of the attributes that [`mentions`] writes.
const MARKER: &str = "__steadfast_taken";

/// Returns true for the arguments of an attribute that [`mentions`] wrote. Its item has to be removed.
pub(super) fn is_marker(args: &TokenStream) -> bool {
    args.to_string() == MARKER
}

/// Mentions the siblings on items that are removed. The compiler resolves their paths and an editor finds them, as if they were still on the
/// function; without this, an import of a sibling would be unused.
pub(super) fn mentions(siblings: &[Sibling]) -> TokenStream {
    let marker = Ident::new(MARKER, Span::mixed_site());
    let paths = siblings.iter().map(|sibling| &sibling.path);
    quote!(#(#[#paths(#marker)] const _: () = ();)*)
}
