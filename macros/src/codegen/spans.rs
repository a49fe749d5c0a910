//! Spans and hygiene of generated code.

use proc_macro2::{Span, TokenStream};

/// Quotes code with mixed-site hygiene: its local variables and those of the user's code are invisible to each other.
macro_rules! quote_mixed {
    ($($tokens:tt)*) => { quote::quote_spanned!(proc_macro2::Span::mixed_site()=> $($tokens)*) };
}
pub(crate) use quote_mixed;

/// Returns the tokens with the location of `span`. Errors are shown there, and names are still resolved as before.
pub(crate) fn located_at(span: Span, tokens: &TokenStream) -> TokenStream {
    map_spans(tokens, |own| own.located_at(span))
}

/// Returns the tokens with `span`, as if they were written there. A `#[track_caller]` function that they call gets that location.
pub(crate) fn respan(span: Span, tokens: &TokenStream) -> TokenStream {
    map_spans(tokens, |_| span)
}

fn map_spans(tokens: &TokenStream, map: impl Fn(Span) -> Span) -> TokenStream {
    tokens
        .clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(map(token.span()));
            token
        })
        .collect()
}
