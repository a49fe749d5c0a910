//! The other attributes of this crate on the same item.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
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

/// The name of an item in each expansion. An attribute that finds it in the body is expanded a second time.
const EXPANDED: &str = "_STEADFAST_EXPANDED";

/// The item that marks an expansion.
pub(super) fn expanded_item() -> TokenStream {
    let marker = Ident::new(EXPANDED, Span::mixed_site());
    quote!(const #marker: () = ();)
}

/// Returns true if an attribute of this crate has already been expanded on the function, as a separate stack.
pub(super) fn is_expanded(function: &Function) -> bool {
    has_marker(function.body.stream())
}

fn has_marker(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_marker(group.stream()),
        TokenTree::Ident(ident) => ident == EXPANDED,
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The error for a stack that is split: its upper part was expanded first, so it would become the inner part.
pub(super) fn split_error(name: &str) -> String {
    let written = Span::call_site().source_text();
    let path =
        written.as_deref().and_then(|text| text.trim_start_matches(['#', '[', ' ']).split(['(', ']', ' ']).next());
    match path.filter(|path| !path.is_empty() && path.rsplit("::").next() != Some(name)) {
        Some(path) => format!(
            "`#[{path}]` is `#[{name}]` under another name, which the attributes of steadfast above it do not recognise\n\
             import it under its own name: `#[{name}]`"
        ),
        None => format!(
            "`#[{name}]` comes from another macro, which the attributes of steadfast above it cannot see: it would become the outermost one\n\
             put all attributes of steadfast above that macro, or let it write all of them"
        ),
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
