//! Attributes on something other than a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, Item, Stmt, parse2};

use super::siblings;
use crate::attributes::Row;

/// The item without the other attributes of this crate, and an error: that of the parser if the item seems to be a function.
///
/// For an attribute on an expression or a statement, the compiler reports an error of its own, and anything that is added to the tokens
/// would cause another. So the output is the tokens and a constant that panics, which the compiler never reaches.
#[allow(clippy::needless_pass_by_value, reason = "the tokens are those of the caller")]
pub(super) fn expand(first: &Row, error: &Error, item: TokenStream) -> TokenStream {
    let item = siblings::strip(item);
    let message = format!("`#[{}]` can only be on functions and methods", first.name);
    let hint = match parse2::<Item>(item.clone()) {
        Ok(Item::Impl(_)) => "\nput it on each method of this `impl` that needs it",
        Ok(Item::Trait(_)) => "\nput it on each method of the implementations",
        Ok(Item::Macro(_)) => "\nput it on the function inside of the macro",
        Ok(Item::Fn(_) | Item::Verbatim(_)) | Err(_) => "",
        Ok(_) => return with_error(&item, &message),
    };
    if !hint.is_empty() {
        return with_error(&item, &format!("{message}{hint}"));
    }
    if item.clone().into_iter().any(|token| token.to_string() == "fn") {
        let error = error.to_compile_error();
        return quote!(#item #error);
    }
    let unreachable = quote!(const { ::core::panic!(#message) });
    if let Ok(expression) = parse2::<Expr>(item.clone()) {
        return quote!({ #unreachable; #expression });
    }
    if let Ok(statement @ Stmt::Local(_)) = parse2::<Stmt>(item.clone()) {
        return quote!(#statement #unreachable;);
    }
    if let Ok(Stmt::Expr(expression, _)) = parse2::<Stmt>(item.clone()) {
        return quote!({ #unreachable; #expression });
    }
    with_error(&item, &message)
}

fn with_error(item: &impl ToTokens, message: &str) -> TokenStream {
    let error = Error::new(Span::call_site(), message).to_compile_error();
    quote!(#item #error)
}
