use std::{error::Error, fmt};

use crate::escape::escaped;

/// The error of [`find_breaker`](crate::find_breaker): no circuit breaker without a key has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownBreaker {
    pub(crate) name: String,
    pub(crate) is_keyed: bool,
}

impl UnknownBreaker {
    /// Returns the name that was looked up.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns true if the name is declared with a `key`, so that `keyed_breakers` finds it.
    #[must_use]
    pub const fn is_keyed(&self) -> bool {
        self.is_keyed
    }
}

impl fmt::Display for UnknownBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = escaped(&self.name);
        if self.is_keyed {
            write!(f, "circuit breaker `{name}` is declared with a `key`: use `keyed_breakers(\"{name}\")`")
        } else {
            write!(f, "no circuit breaker is named `{name}`: neither an attribute nor `register!` declares one")
        }
    }
}

impl Error for UnknownBreaker {}
