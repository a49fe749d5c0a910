//! The attributes of steadfast, which re-exports them with their documentation.
//!
//! Three plain steps: `options` and `args` parse and check what stands in an attribute, `function` parses what it
//! stands on, `expand` writes the new body.

mod args;
mod arguments;
mod captures;
mod derive;
mod duration;
mod errors;
mod expand;
mod form;
mod function;
#[cfg(test)]
mod fuzz;
mod moves;
mod options;
mod order;
mod spelling;
mod stack;
mod text;

use proc_macro::TokenStream;

use self::stack::Kind;

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn retry(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(Kind::Retry, args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn circuit_breaker(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(Kind::CircuitBreaker, args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn fallback(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(Kind::Fallback, args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn bulkhead(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(Kind::Bulkhead, args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn rate_limit(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(Kind::RateLimit, args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn timeout(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(Kind::Timeout, args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented with the trait, where it is re-exported")]
#[proc_macro_derive(Transient, attributes(transient))]
pub fn derive_transient(item: TokenStream) -> TokenStream {
    derive::expand(item.into()).into()
}
