#[cfg(feature = "config")]
mod merge;

use std::{fmt, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use crate::{
    checked::{InvalidSetting, valid},
    errors::{PolicyConfig, PolicyTerms},
    layers::{ConfigOptions, DurationText, OptionText, VisitOption, write_options},
};

/// The settings of a bulkhead: the number of concurrent calls, the longest wait for a permit, and the number of calls that may wait.
///
/// In a `const` or `static`, an invalid value is a compile error; at run time, it is a panic. For values from outside of the program, each
/// method that panics has a variant with the prefix `try_` that returns [`InvalidSetting`] instead. `Display` writes the settings as the
/// options of the attribute.
///
/// ```
/// use steadfast::{BulkheadConfig, InvalidSetting};
///
/// fn from_outside(calls: u32) -> Result<BulkheadConfig, InvalidSetting> {
///     BulkheadConfig::new().try_max_concurrent(calls)
/// }
/// assert_eq!(from_outside(8).unwrap().to_string(), "max_concurrent = 8");
/// assert!(from_outside(0).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[allow(clippy::struct_field_names, reason = "the names of the options")]
pub struct BulkheadConfig {
    pub(super) max_concurrent: u32,
    pub(super) max_wait: Option<Duration>,
    pub(super) max_queue: Option<u32>,
}

impl BulkheadConfig {
    /// Creates the default settings: 25 concurrent calls, and no wait; any number of calls may wait once there is a `max_wait`.
    ///
    /// 25 is the default of resilience4j. The right number is the concurrency that the called service supports, divided among the processes
    /// that call it: by Little's law, its throughput times the time that a call takes.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_concurrent: 25, max_wait: None, max_queue: None }
    }

    /// Sets the largest number of concurrent calls: the number of permits.
    ///
    /// # Panics
    ///
    /// If `calls` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_concurrent(self, calls: u32) -> Self {
        valid!(self.try_max_concurrent(calls))
    }

    /// Sets the value as [`max_concurrent`](Self::max_concurrent) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `calls` is 0.
    pub const fn try_max_concurrent(mut self, calls: u32) -> Result<Self, InvalidSetting> {
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

    /// Sets the value as [`max_wait`](Self::max_wait) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `max_wait` is 0.
    pub const fn try_max_wait(mut self, max_wait: Duration) -> Result<Self, InvalidSetting> {
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

    /// Sets the largest number of calls that wait for a permit; by default, there is no bound. A call that finds a queue of that length is rejected
    /// at once. Without [`max_wait`](Self::max_wait), no call waits and the bound has no effect.
    ///
    /// A long queue serves callers that no longer wait for the answer: by Little's law, a call at the end of a queue of `calls` waits for
    /// `calls / max_concurrent` times the duration of a call.
    ///
    /// # Panics
    ///
    /// If `calls` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_queue(self, calls: u32) -> Self {
        valid!(self.try_max_queue(calls))
    }

    /// Sets the value as [`max_queue`](Self::max_queue) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `calls` is 0.
    pub const fn try_max_queue(mut self, calls: u32) -> Result<Self, InvalidSetting> {
        if calls == 0 {
            return Err(InvalidSetting::new(
                "`max_queue` must be at least 1; to reject calls without waiting, omit `max_wait`",
            ));
        }
        self.max_queue = Some(calls);
        Ok(self)
    }

    #[cfg(feature = "config")]
    pub(crate) const fn without_max_queue(mut self) -> Self {
        self.max_queue = None;
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

    /// Returns the largest number of calls that wait; `None` if there is no bound.
    #[must_use]
    pub const fn get_max_queue(&self) -> Option<u32> {
        self.max_queue
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
        write_options(self, f)
    }
}

impl ConfigOptions for BulkheadConfig {
    fn visit_options(&self, visit: &mut VisitOption<'_>) -> fmt::Result {
        let Self { max_concurrent, max_wait, max_queue } = self;
        visit("max_concurrent", OptionText::Value(max_concurrent))?;
        visit("max_wait", OptionText::if_any(max_wait.map(DurationText).as_ref()))?;
        visit("max_queue", OptionText::if_any(max_queue.as_ref()).if_used(max_wait.is_some() || max_queue.is_some()))
    }
}
