#[cfg(feature = "config")]
mod merge;

use std::{fmt, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use crate::{
    checked::{Checked, InvalidSetting, valid},
    errors::{PolicyConfig, PolicyTerms},
};

/// The settings of a bulkhead: the number of concurrent calls, and the longest wait for a permit.
///
/// In a `const` or `static`, an invalid value is a compile error; at run time, it is a panic. `Display` writes the settings as the options
/// of the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BulkheadConfig {
    pub(super) max_concurrent: u32,
    pub(super) max_wait: Option<Duration>,
}

impl BulkheadConfig {
    /// Creates the default settings: 25 concurrent calls, and no wait.
    ///
    /// 25 is the default of resilience4j. The right number is the concurrency that the called service supports, divided among the processes
    /// that call it: by Little's law, its throughput times the time that a call takes.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_concurrent: 25, max_wait: None }
    }

    /// Sets the largest number of concurrent calls.
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
            return Err(InvalidSetting::new("`max_concurrent` must be at least 1: with 0 no call could ever be made"));
        }
        self.max_concurrent = calls;
        Ok(self)
    }

    /// Sets the longest time for which a call waits for a permit, with a resolution of a microsecond; by default, none waits.
    ///
    /// # Panics
    ///
    /// If `max_wait` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_wait(self, max_wait: Duration) -> Self {
        valid!(self.try_max_wait(max_wait))
    }

    pub(crate) const fn try_max_wait(mut self, max_wait: Duration) -> Checked<Self> {
        if max_wait.is_zero() {
            return Err(InvalidSetting::new(
                "`max_wait` must be longer than 0; omit it to reject calls without waiting",
            ));
        }
        self.max_wait = Some(max_wait);
        Ok(self)
    }

    #[cfg(feature = "config")]
    pub(crate) const fn without_max_wait(mut self) -> Self {
        self.max_wait = None;
        self
    }

    /// Returns the largest number of concurrent calls.
    #[must_use]
    pub const fn get_max_concurrent(&self) -> u32 {
        self.max_concurrent
    }

    /// Returns the longest time for which a call waits for a permit; `None` if no call waits.
    #[must_use]
    pub const fn get_max_wait(&self) -> Option<Duration> {
        self.max_wait
    }
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl PolicyConfig for BulkheadConfig {
    const TERMS: &'static PolicyTerms =
        &PolicyTerms { kind: "bulkhead", table: "bulkhead", example: "max_concurrent = 25" };
}

impl fmt::Display for BulkheadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max_concurrent = {}", self.max_concurrent)?;
        self.max_wait.map_or(Ok(()), |max_wait| write!(f, ", max_wait = {max_wait:?}"))
    }
}
