//! Limits that are stated once: for those who build a value, where a mistake is a panic and so in a `const` a compile error,
//! and for those who read one, where it is an error.

/// What was asked for, or what is wrong with it.
pub(crate) type Checked<T> = Result<T, &'static str>;

/// What is checked, or a panic that says what is wrong.
macro_rules! valid {
    ($checked:expr) => {
        match $checked {
            Ok(valid) => valid,
            Err(problem) => panic!("{}", problem),
        }
    };
}
pub(crate) use valid;
