//! The settings of a rate limit, and the interface of an external store. They refer to each other: a store is part of the settings, and a
//! request to a store contains the settings.

#[cfg(feature = "config")]
mod merge;

use std::{fmt, future::Future, pin::Pin, time::Duration};

#[cfg(feature = "config")]
pub(super) use self::merge::OPTIONS;
use crate::{
    by_address::ByAddress,
    checked::{Checked, InvalidSetting, valid},
    errors::{PolicyConfig, PolicyTerms},
    layers::{ConfigOptions, DurationText, OptionText, VisitOption, write_options},
};

/// The settings of a rate limit: the number of calls per period, and what happens to calls above it.
///
/// In a `const` or `static`, an invalid value is a compile error; at run time, it is a panic. For values from outside of the program, each
/// method that panics has a variant with the prefix `try_` that returns [`InvalidSetting`] instead. `Display` writes the settings as the
/// options of the attribute.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{InvalidSetting, RateLimitConfig};
///
/// fn per_minute(limit: u32) -> Result<RateLimitConfig, InvalidSetting> {
///     RateLimitConfig::try_new(limit, Duration::from_secs(60))?.try_max_wait(Duration::from_secs(1))
/// }
/// assert_eq!(per_minute(10).unwrap().to_string(), "limit = 10, per = 60s, max_wait = 1s");
/// assert!(per_minute(0).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RateLimitConfig {
    pub(super) limit: u32,
    pub(super) per: Duration,
    pub(super) max_wait: Option<Duration>,
    pub(super) algorithm: Algorithm,
    pub(super) burst: Option<u32>,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) store: Option<ByAddress<dyn RateLimitStore>>,
}

/// The algorithm by which calls are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Algorithm {
    /// A sliding log: at most `limit` calls in any sliding window of length `per`. Takes 8 bytes for each permit in the window.
    #[default]
    SlidingWindow,
    /// The generic cell rate algorithm (GCRA): a burst of [`burst`](RateLimitConfig::burst) calls, then one call per `per / limit`. A window
    /// may contain up to `burst + limit` calls. Takes 48 bytes, regardless of the limit.
    Gcra,
}

/// The largest `limit` and `burst`; the attribute has the same bound.
const MAX_LIMIT: u32 = 1_048_576;

impl RateLimitConfig {
    /// Creates settings for at most `limit` calls per period `per`, which has a resolution of a microsecond. No call waits.
    ///
    /// # Panics
    ///
    /// If `limit` is 0 or above 1,048,576, or `per` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn new(limit: u32, per: Duration) -> Self {
        valid!(Self::try_new(limit, per))
    }

    /// Creates settings as [`new`](Self::new) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `limit` is 0 or above 1,048,576, or `per` is 0.
    pub const fn try_new(limit: u32, per: Duration) -> Result<Self, InvalidSetting> {
        let config = Self { limit, per, max_wait: None, algorithm: Algorithm::SlidingWindow, burst: None, store: None };
        match config.try_limit(limit) {
            Ok(config) => config.try_per(per),
            Err(invalid) => Err(invalid),
        }
    }

    pub(crate) const fn try_limit(mut self, limit: u32) -> Checked<Self> {
        if limit == 0 {
            return Err(InvalidSetting::new("`limit` must be at least 1: with 0 no call could ever be made"));
        }
        if limit > MAX_LIMIT {
            return Err(InvalidSetting::new("`limit` must be at most 1,048,576; for a higher rate, shorten `per`"));
        }
        self.limit = limit;
        Ok(self)
    }

    pub(crate) const fn try_per(mut self, per: Duration) -> Checked<Self> {
        if per.is_zero() {
            return Err(InvalidSetting::new("`per` must be longer than 0: no call would ever be in such a window"));
        }
        self.per = per;
        Ok(self)
    }

    /// Sets the longest time for which a call above the limit waits for capacity; by default, none waits. A call that would not be admitted
    /// in time, even if each call before it starts as early as it can, is rejected at once.
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

    /// Sets the algorithm by which calls are counted; by default, a sliding window. A sliding window removes the [`burst`](Self::burst).
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        if let Algorithm::SlidingWindow = algorithm {
            self.burst = None;
        }
        self
    }

    /// Sets the number of calls that GCRA admits at once after a time without calls; by default, it is `limit`. The rate is `limit` calls
    /// per `per` in either case: the burst tolerance of the literature is `(burst - 1) * per / limit`. 1 spaces all calls evenly.
    ///
    /// A burst may be larger than `limit`, for a service that accepts a long burst but a low rate. A call that takes several permits can take
    /// at most `burst`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{Algorithm, RateLimitConfig};
    ///
    /// let config = RateLimitConfig::new(100, Duration::from_secs(1)).algorithm(Algorithm::Gcra).burst(20);
    /// assert_eq!((config.get_limit(), config.get_burst()), (100, 20));
    /// ```
    ///
    /// # Panics
    ///
    /// If `calls` is 0 or above 1,048,576, or if the [`algorithm`](Self::algorithm), which is set first, is not GCRA. In a `const` or `static`
    /// that is a compile error.
    #[must_use]
    pub const fn burst(self, calls: u32) -> Self {
        valid!(self.try_burst(calls))
    }

    /// Sets the value as [`burst`](Self::burst) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `calls` is 0 or above 1,048,576, or if the algorithm is not GCRA.
    pub const fn try_burst(mut self, calls: u32) -> Result<Self, InvalidSetting> {
        if !matches!(self.algorithm, Algorithm::Gcra) {
            return Err(InvalidSetting::new(
                "`burst` needs `algorithm = gcra`: a sliding window admits up to `limit` calls at once",
            ));
        }
        if calls == 0 {
            return Err(InvalidSetting::new("`burst` must be at least 1: with 0 no call could ever be made"));
        }
        if calls > MAX_LIMIT {
            return Err(InvalidSetting::new("`burst` must be at most 1,048,576"));
        }
        self.burst = Some(calls);
        Ok(self)
    }

    #[cfg(feature = "config")]
    pub(crate) const fn without_burst(mut self) -> Self {
        self.burst = None;
        self
    }

    /// Sets an external store that counts the calls of `async` functions, so that several processes can share the limit.
    #[must_use]
    pub const fn store(mut self, store: &'static dyn RateLimitStore) -> Self {
        self.store = Some(ByAddress(store));
        self
    }

    /// Returns the largest number of calls per period.
    #[must_use]
    pub const fn get_limit(&self) -> u32 {
        self.limit
    }

    /// Returns the length of the period.
    #[must_use]
    pub const fn get_per(&self) -> Duration {
        self.per
    }

    /// Returns the longest time for which a call waits for capacity; `None` if no call waits.
    #[must_use]
    pub const fn get_max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// Returns the algorithm by which calls are counted.
    #[must_use]
    pub const fn get_algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the largest number of permits that can be taken at once: for GCRA, the [`burst`](Self::burst); for a sliding window, and for
    /// GCRA without a `burst`, the `limit`.
    #[must_use]
    pub const fn get_burst(&self) -> u32 {
        match self.burst {
            Some(calls) => calls,
            None => self.limit,
        }
    }

    /// Returns the external store; `None` if calls are counted in this process alone.
    #[must_use]
    pub const fn get_store(&self) -> Option<&'static dyn RateLimitStore> {
        match self.store {
            Some(ByAddress(store)) => Some(store),
            None => None,
        }
    }
}

impl PolicyConfig for RateLimitConfig {
    const TERMS: &'static PolicyTerms =
        &PolicyTerms { kind: "rate limit", table: "rate_limit", example: "limit = 100, per = 60s" };
}

impl fmt::Display for RateLimitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_options(self, f)
    }
}

impl ConfigOptions for RateLimitConfig {
    fn visit_options(&self, visit: &mut VisitOption<'_>) -> fmt::Result {
        let Self { limit, per, max_wait, algorithm, burst, store } = self;
        let is_gcra = *algorithm == Algorithm::Gcra;
        let store = store.as_ref().map(|ByAddress(store)| fmt::from_fn(move |f| write!(f, "{store:?}")));
        visit("limit", OptionText::Value(limit))?;
        visit("per", OptionText::Value(&DurationText(*per)))?;
        visit("max_wait", OptionText::if_any(max_wait.map(DurationText).as_ref()))?;
        visit("algorithm", OptionText::unless(!is_gcra, if is_gcra { &"gcra" } else { &"sliding_window" }))?;
        visit("burst", OptionText::unless(burst.is_none(), &self.get_burst()).if_used(is_gcra))?;
        visit("store", OptionText::if_any(store.as_ref()).if_used(store.is_some()))
    }
}

/// An external store for the counts of a rate limit, such as a server that several processes share.
///
/// A limit with a store sends it one request for each call of an `async` function: one round trip to a server. Calls of functions that are
/// not `async` are counted in this process alone, because they cannot wait for a response.
///
/// A store counts and does not wait. If calls may wait, those that it rejects wait in a queue of this process. The first of them sends
/// another request when `retry_after` has passed, or when the settings change. A call that arrives while others wait sends no request
/// before its turn. If a caller gives up while its request is in flight, the next waiter receives the response. So calls of one process are
/// admitted in the order of their arrival, and those of several processes roughly in the order of their requests.
///
/// ```
/// use std::{future::Future, pin::Pin, time::Duration};
/// use steadfast::{RateLimit, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitStore};
///
/// /// Rejects every call.
/// #[derive(Debug)]
/// struct Closed;
///
/// impl RateLimitStore for Closed {
///     fn acquire<'a>(
///         &'a self,
///         _request: &'a RateLimitRequest<'a>,
///     ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>> {
///         Box::pin(async { RateLimitDecision::Rejected { retry_after: Duration::from_secs(60) } })
///     }
/// }
///
/// static CLOSED: Closed = Closed;
/// static SEARCH: RateLimit =
///     RateLimit::new("search", RateLimitConfig::new(100, Duration::from_secs(60)).store(&CLOSED));
/// ```
pub trait RateLimitStore: fmt::Debug + Send + Sync {
    /// Requests capacity for a call that starts as soon as it is admitted. The store counts the [`permits`](RateLimitRequest::permits) of
    /// the call only if it admits it; it admits all of them or none.
    ///
    /// The future may be dropped before it is ready; then the call is not made. If the caller gives up while other calls wait, the task of
    /// one of these polls the future from then on.
    fn acquire<'a>(
        &'a self,
        request: &'a RateLimitRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = RateLimitDecision> + Send + 'a>>;
}

/// A request of a rate limit to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitRequest<'a> {
    /// The name of the limit.
    pub name: &'static str,
    /// The key of the limit; `None` for a limit without keys and for the overflow limit.
    pub key: Option<&'a str>,
    /// True for the overflow limit, which all keys without a limit of their own share. Its `key` is `None`.
    pub overflow: bool,
    /// The number of permits that the call takes: 1, or more for a call with `permits`, and at most
    /// [`get_burst`](RateLimitConfig::get_burst).
    pub permits: u32,
    /// The settings in force.
    pub config: RateLimitConfig,
}

/// The response of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitDecision {
    /// The call is counted, and starts now.
    Admitted,
    /// There is no capacity now.
    Rejected {
        /// The time until there is capacity for the call under these settings. It counts from the moment at which the request was sent:
        /// a waiting call that takes as many permits or more sends no request for these settings until then, so that the next one arrives when there is
        /// capacity.
        retry_after: Duration,
    },
    /// The store cannot decide, for example because its server is unreachable. The call is decided by the counts of this process.
    Unknown,
}
