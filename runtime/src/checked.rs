//! Range checks that builders and the parsers of settings share.
//!
//! A builder panics on an invalid value, which in a `const` is a compile error; a parser returns an error.

/// A valid value, or a message that describes why the value is invalid.
pub(crate) type Checked<T> = Result<T, &'static str>;

/// Unwraps a [`Checked`] value, or panics with its message.
macro_rules! valid {
    ($checked:expr) => {
        match $checked {
            Ok(valid) => valid,
            Err(problem) => panic!("{}", problem),
        }
    };
}
pub(crate) use valid;
