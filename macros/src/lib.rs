//! The attributes of steadfast. `steadfast` re-exports them with their documentation.
//!
//! An attribute is expanded in three steps: `syntax` and `attributes` parse and check its options, `item` parses the annotated function,
//! and `stack`, `attributes` and `codegen` write the new body.

mod attributes;
mod codegen;
mod errors;
#[cfg(test)]
mod fuzz;
mod item;
mod stack;
mod syntax;
mod transient;

use proc_macro::TokenStream;

use self::attributes::{
    Row, bulkhead::Bulkhead, circuit_breaker::CircuitBreaker, fallback::Fallback, rate_limit::RateLimit, retry::Retry,
    timeout::Timeout,
};

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn retry(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(&Row::of::<Retry>(), args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn circuit_breaker(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(&Row::of::<CircuitBreaker>(), args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn fallback(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(&Row::of::<Fallback>(), args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn bulkhead(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(&Row::of::<Bulkhead>(), args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn rate_limit(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(&Row::of::<RateLimit>(), args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented where it is re-exported")]
#[proc_macro_attribute]
pub fn timeout(args: TokenStream, item: TokenStream) -> TokenStream {
    stack::expand(&Row::of::<Timeout>(), args.into(), item.into()).into()
}

#[allow(missing_docs, reason = "documented with the trait, where it is re-exported")]
#[proc_macro_derive(Transient, attributes(transient, permanent))]
pub fn derive_transient(item: TokenStream) -> TokenStream {
    transient::expand(item.into()).into()
}
