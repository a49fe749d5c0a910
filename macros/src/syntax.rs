//! The grammar that all attributes share, and the values that occur in them.

pub(crate) mod closures;
pub(crate) mod condition;
pub(crate) mod duration;
pub(crate) mod instance;
mod mistakes;
pub(crate) mod options;
pub(crate) mod parameters;
pub(crate) mod spelling;
pub(crate) mod text;
pub(crate) mod values;
mod variants;
pub(crate) mod written;
