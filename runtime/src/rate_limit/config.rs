#[cfg(feature = "config")]
mod merge;

use std::{fmt, ptr, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use super::RateLimitStore;
use crate::checked::{Checked, valid};

/// How many calls there may be in how long.
///
/// Built in a `const` or `static`, where a value that makes no sense does not compile; at run time the same mistakes
/// panic. Its `Display` reads like the attribute's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RateLimitConfig {
    pub(super) limit: u32,
    pub(super) per: Duration,
    pub(super) max_wait: Option<Duration>,
    pub(super) algorithm: Algorithm,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) store: Option<Store>,
}

/// A store, the same as another if it is the same static.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store(pub(super) &'static dyn RateLimitStore);

impl PartialEq for Store {
    fn eq(&self, other: &Self) -> bool {
        ptr::addr_eq(self.0, other.0)
    }
}

impl Eq for Store {}

/// How calls are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Algorithm {
    /// By a window that slides with the time: in any window of that length, however it lies, there are at most so many calls.
    /// Keeps 8 bytes for each of them.
    #[default]
    SlidingWindow,
    /// By the generic cell rate algorithm, a bucket that leaks evenly: so many calls at once, and then one for each that has leaked
    /// away. In a window there may be up to twice as many. Keeps 32 bytes, whatever the limit.
    Gcra,
}

/// The most calls that a window counts; the attribute has the same limit.
const MAX_LIMIT: u32 = 1_048_576;

impl RateLimitConfig {
    /// At most so many calls in so long. Times are kept in microseconds.
    ///
    /// # Panics
    ///
    /// If `limit` is 0 or above 1,048,576, or `per` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn new(limit: u32, per: Duration) -> Self {
        let config = Self { limit, per, max_wait: None, algorithm: Algorithm::SlidingWindow, store: None };
        valid!(valid!(config.try_limit(limit)).try_per(per))
    }

    pub(crate) const fn try_limit(mut self, limit: u32) -> Checked<Self> {
        if limit == 0 {
            return Err("`limit` must be at least 1: with 0 no call could ever be made");
        }
        if limit > MAX_LIMIT {
            return Err("`limit` must be at most 1,048,576: a window keeps each of its calls");
        }
        self.limit = limit;
        Ok(self)
    }

    pub(crate) const fn try_per(mut self, per: Duration) -> Checked<Self> {
        if per.is_zero() {
            return Err("`per` must be longer than 0: no call would ever be in such a window");
        }
        self.per = per;
        Ok(self)
    }

    /// Lets a call wait for its turn, for so long at most. A call whose turn would not come in time if all waiters stay is rejected at once.
    ///
    /// # Panics
    ///
    /// If `wait` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_wait(self, wait: Duration) -> Self {
        valid!(self.try_max_wait(wait))
    }

    /// The former name of [`max_wait`](Self::max_wait).
    #[doc(hidden)]
    #[must_use]
    pub const fn wait(self, wait: Duration) -> Self {
        self.max_wait(wait)
    }

    pub(crate) const fn try_max_wait(mut self, wait: Duration) -> Checked<Self> {
        if wait.is_zero() {
            return Err("`max_wait` must be longer than 0: leave it out, and no call waits");
        }
        self.max_wait = Some(wait);
        Ok(self)
    }

    #[cfg(feature = "config")]
    pub(crate) const fn without_max_wait(mut self) -> Self {
        self.max_wait = None;
        self
    }

    /// How calls are counted.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Keeps the counts in a store that others share. It is asked for the calls of `async` functions.
    #[must_use]
    pub const fn store(mut self, store: &'static dyn RateLimitStore) -> Self {
        self.store = Some(Store(store));
        self
    }

    /// How many calls.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// In how long.
    #[must_use]
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// The longest time for which a call waits for its turn; `None` if no call waits.
    #[must_use]
    pub const fn get_max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// How calls are counted.
    #[must_use]
    pub const fn counted_by(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Display for RateLimitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, per, max_wait, algorithm, store } = self;
        write!(f, "limit = {limit}, per = {per:?}")?;
        if let Some(max_wait) = max_wait {
            write!(f, ", max_wait = {max_wait:?}")?;
        }
        if *algorithm == Algorithm::Gcra {
            f.write_str(", algorithm = gcra")?;
        }
        store.map_or(Ok(()), |Store(store)| write!(f, ", store = {store:?}"))
    }
}
