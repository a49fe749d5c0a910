//! Attributes on something other than a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, Item, Stmt, parse2};

use super::siblings;
use crate::attributes::Row;

/// The item without the other attributes of this crate, and an error: that of the parser if the item seems to be a function.
#[allow(clippy::needless_pass_by_value, reason = "the tokens are those of the caller")]
pub(super) fn expand(first: &Row, error: &Error, item: TokenStream) -> TokenStream {
    let (markers, item) = siblings::strip(item);
    let message = format!("`#[{}]` can only be on functions and methods", first.name);
    if item.clone().into_iter().any(|token| token.to_string() == "fn") {
        let error = error.to_compile_error();
        return quote!(#item #error);
    }
    let item = match parse2::<Item>(item.clone()) {
        Ok(Item::Impl(item)) => {
            let message = format!("{message}\nput it on each method of this `impl` that needs it");
            return with_error(&quote!(#item #markers), &message);
        }
        Ok(Item::Trait(item)) => {
            let message = format!("{message}\nput it on each method of the implementations");
            return with_error(&quote!(#item #markers), &message);
        }
        // A macro that is called as a statement may expand to something that is no item.
        Ok(Item::Macro(item)) if item.ident.is_none() => return with_error(&markers, &message),
        // An associated constant or type, beside which there can be no marker.
        Ok(item @ (Item::Const(_) | Item::Type(_))) => return with_error(&item, &message),
        Ok(Item::Verbatim(_)) | Err(_) => item,
        Ok(item) => return with_error(&quote!(#item #markers), &message),
    };
    expression(&item, &markers, &message).unwrap_or_else(|| with_error(&item, &message))
}

/// An attribute on an expression or a statement. The compiler reports errors of its own for it, and anything that cannot be in that place
/// would cause another. So the output adds a function that cannot be instantiated, which the compiler does not reach after an error.
fn expression(item: &TokenStream, markers: &TokenStream, message: &str) -> Option<TokenStream> {
    let prelude = quote! {
        #markers
        fn misplaced<T>() {
            const { ::core::panic!(#message) }
        }
        misplaced::<()>();
    };
    if let Ok(expression) = parse2::<Expr>(item.clone()) {
        return Some(quote!({ #prelude #expression }));
    }
    match parse2::<Stmt>(item.clone()) {
        Ok(Stmt::Expr(expression, _)) => Some(quote!({ #prelude #expression })),
        Ok(statement @ Stmt::Local(_)) => Some(quote!({ #prelude } #statement)),
        _ => None,
    }
}

fn with_error(item: &impl ToTokens, message: &str) -> TokenStream {
    let error = Error::new(Span::call_site(), message).to_compile_error();
    quote!(#item #error)
}
