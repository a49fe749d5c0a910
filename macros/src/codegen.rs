//! The code that the attributes share when they write the new body of a function.
//!
//! **Invariant:** the old body is wrapped, never edited. It goes into an `async` block, or into a closure that is called in place, so that
//! `?` and `return` end an attempt rather than the function, and so that each attempt borrows the arguments again.

pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod registry;
mod rejection;
pub(crate) mod spans;
