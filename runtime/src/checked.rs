//! Range checks that builders, their `try_` variants and the parsers of settings share.
//!
//! A builder panics on an invalid value, which in a `const` is a compile error; its `try_` variant and a parser return an error.

use std::{error::Error, fmt};

/// The error of the `try_` setters and constructors: a value outside of the allowed range of a setting.
///
/// Every setter that panics on an invalid value has a `try_` variant that returns this error, for values from outside of the program. The
/// `Display` names the setting and the allowed range:
///
/// ```
/// use steadfast::BreakerConfig;
///
/// let invalid = BreakerConfig::new().try_failure_threshold(0).unwrap_err();
/// assert_eq!(
///     invalid.to_string(),
///     "`failure_threshold` must be at least 1: with 0 the circuit would open before any call",
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvalidSetting {
    message: &'static str,
}

impl InvalidSetting {
    /// Creates the error from its text, which names the setting and the allowed range.
    pub(crate) const fn new(message: &'static str) -> Self {
        Self { message }
    }

    /// The text of the error, for panics in a `const`.
    pub(crate) const fn message(self) -> &'static str {
        self.message
    }
}

impl fmt::Debug for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InvalidSetting").field(&self.message).finish()
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl Error for InvalidSetting {}

/// A valid value, or an error that describes why the value is invalid.
pub(crate) type Checked<T> = Result<T, InvalidSetting>;

/// Unwraps a [`Checked`] value, or panics with the text of its error.
macro_rules! valid {
    ($checked:expr) => {
        match $checked {
            Ok(valid) => valid,
            Err(problem) => panic!("{}", problem.message()),
        }
    };
}
pub(crate) use valid;
