#[cfg(feature = "config")]
mod merge;

use std::{fmt, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use crate::checked::{Checked, valid};

/// How many calls there may be at once, and how long others wait.
///
/// Built in a `const` or `static`, where a value that makes no sense does not compile; at run time the same mistakes
/// panic. Its `Display` reads like the attribute's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BulkheadConfig {
    pub(super) max_concurrent: u32,
    pub(super) max_wait: Option<Duration>,
}

impl BulkheadConfig {
    /// The defaults: 25 calls at once, and nobody waits.
    ///
    /// 25 is what resilience4j begins with. The right number is what the other side serves at once, shared among the processes
    /// that call it: by Little's law, its throughput times the time that a call takes.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_concurrent: 25, max_wait: None }
    }

    /// How many calls there may be at once.
    ///
    /// # Panics
    ///
    /// If `calls` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_concurrent(self, calls: u32) -> Self {
        valid!(self.try_max_concurrent(calls))
    }

    pub(crate) const fn try_max_concurrent(mut self, calls: u32) -> Checked<Self> {
        if calls == 0 {
            return Err("`max_concurrent` must be at least 1: with 0 no call could ever be made");
        }
        self.max_concurrent = calls;
        Ok(self)
    }

    /// How long a call waits for a place; kept in microseconds.
    ///
    /// # Panics
    ///
    /// If `wait` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_wait(self, wait: Duration) -> Self {
        valid!(self.try_max_wait(wait))
    }

    pub(crate) const fn try_max_wait(mut self, wait: Duration) -> Checked<Self> {
        if wait.is_zero() {
            return Err("`max_wait` must be longer than 0: leave it out, and nobody waits");
        }
        self.max_wait = Some(wait);
        Ok(self)
    }

    #[cfg(feature = "config")]
    pub(crate) const fn without_wait(mut self) -> Self {
        self.max_wait = None;
        self
    }
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for BulkheadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max_concurrent = {}", self.max_concurrent)?;
        self.max_wait.map_or(Ok(()), |wait| write!(f, ", max_wait = {wait:?}"))
    }
}
