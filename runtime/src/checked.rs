//! Range checks that are shared by builders and by parsers. A builder panics on an invalid value, which in a `const` is a compile error; a
//! parser of settings returns an error.

/// A valid value, or the message about an invalid one.
pub(crate) type Checked<T> = Result<T, &'static str>;

/// Unwraps a [`Checked`] value, and panics with the message if it is invalid.
macro_rules! valid {
    ($checked:expr) => {
        match $checked {
            Ok(valid) => valid,
            Err(problem) => panic!("{}", problem),
        }
    };
}
pub(crate) use valid;
