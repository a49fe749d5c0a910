//! The function that the attributes are on: its shape, its arguments, and the use that its body makes of them.

pub(crate) mod arguments;
pub(crate) mod async_body;
pub(crate) mod captures;
pub(crate) mod function;
pub(crate) mod inputs;
pub(crate) mod moves;
pub(crate) mod ownership;
pub(crate) mod patterns;
pub(crate) mod shape;
pub(crate) mod uses;
