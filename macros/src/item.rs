//! The annotated function: its shape, its arguments, and the arguments that its body moves or borrows.

pub(crate) mod arguments;
pub(crate) mod async_body;
mod borrows;
pub(crate) mod captures;
mod clients;
pub(crate) mod function;
pub(crate) mod inputs;
pub(crate) mod moves;
mod mutability;
pub(crate) mod ownership;
pub(crate) mod patterns;
pub(crate) mod receivers;
mod run_time;
pub(crate) mod shape;
pub(crate) mod uses;
