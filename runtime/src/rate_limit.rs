//! At most so many calls in so long.
//!
//! [`counter`] counts, [`queue`] has those who wait, [`limiter`] decides about a call that comes, [`waiting`] and [`stored`] about one that
//! waits. This file has the public methods.

mod config;
mod counter;
#[cfg(feature = "keyed")]
mod keyed;
mod limiter;
#[cfg(feature = "tokio")]
mod line;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
mod named;
#[cfg(feature = "tokio")]
mod question;
mod queue;
mod rejection;
mod rules;
mod snapshot;
mod store;
#[cfg(feature = "tokio")]
mod stored;
mod waiting;

use std::{borrow::Borrow, fmt};

use self::limiter::Limiter;
pub(crate) use self::named::RateLimits;
pub use self::{
    config::{Algorithm, RateLimitConfig},
    named::{RATE_LIMITS, rate_limit, rate_limits},
    rejection::RateLimited,
    rules::RateLimitSettings,
    snapshot::RateLimitSnapshot,
    store::{RateLimitDecision, RateLimitRequest, RateLimitStore},
};
#[cfg(feature = "keyed")]
pub use self::{
    keyed::{KeyedRateLimit, KeyedRateLimitSettings, KeyedRateLimits},
    named::{KEYED_RATE_LIMITS, all_keyed_rate_limits, keyed_rate_limits},
    snapshot::KeyedRateLimitSnapshot,
};
use crate::{
    ConfigLayer, clock, events, key,
    totals::{Count, Totals},
};

/// Bounds how many calls are made in how long: at most `limit` in any window of that length, however it lies.
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{RateLimit, RateLimitConfig};
///
/// static SEARCH: RateLimit = RateLimit::new("search", RateLimitConfig::new(2, Duration::from_secs(60)));
///
/// # fn search(words: &str) -> io::Result<usize> { Ok(words.len()) }
/// SEARCH.call(|| search("one"))?;
/// SEARCH.call(|| search("two"))?;
/// assert!(SEARCH.call(|| search("three")).is_err());
/// # Ok::<(), io::Error>(())
/// ```
///
/// A call counts from the moment at which it starts, and one that is rejected does not count.
///
/// With [`max_wait`](RateLimitConfig::max_wait), calls above the limit wait in a queue, threads and tasks in the same one. The first waiter
/// takes capacity that comes free, and no call overtakes. A waiter may give up at any moment: it has taken nothing, and
/// the next has its turn at once. A call whose turn would not come in time if all waiters stay is rejected at once. A waiter whose turn
/// has come and that does not run for a second, such as a future that is not polled any more, is passed over until it does, together with
/// those behind it that do not run either.
///
/// A decision takes a lock that is held for a few nanoseconds, and reads the clock. Times are whole microseconds.
pub struct RateLimit<R: Borrow<RateLimitSettings> = RateLimitSettings> {
    limiter: Limiter,
    rules: R,
}

impl RateLimit {
    /// A rate limit. Declare it as a `static`, and list it with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: RateLimitConfig) -> Self {
        Self { limiter: Limiter::new(Totals::sharded(), None), rules: RateLimitSettings::new(name, Some(config)) }
    }

    pub(crate) fn with_optional(name: &'static str, config: Option<RateLimitConfig>) -> Self {
        Self { limiter: Limiter::new(Totals::sharded(), None), rules: RateLimitSettings::new(name, config) }
    }

    /// The settings that the code declares.
    pub(crate) fn declared_config(&self) -> Option<RateLimitConfig> {
        self.rules.declared()
    }

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.rules.name
    }

    /// Changes the settings from now on. What was counted goes on counting, unless it is by another algorithm. Calls that wait go by the
    /// new limit at once; each of them waits as long as it was to.
    ///
    /// These settings hold as a whole, on top of those from a file and the environment, until [`reset_config`](Self::reset_config).
    pub fn reconfigure(&self, config: RateLimitConfig) {
        self.set_live(Some(config));
    }

    /// Ends what [`reconfigure`](Self::reconfigure) has set: the settings of the code hold again, with those that a file and the
    /// environment put on top of them.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<RateLimitConfig>) {
        let change = self.rules.change(|layers| layers.set_live(live.map(Some)));
        self.apply_settings();
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }

    /// Replaces the settings from a file and the environment; [`apply_settings`](Self::apply_settings) has to follow.
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<RateLimitConfig>) -> Option<crate::ConfigChange> {
        self.rules.change(|layers| layers.set_outside(outside.map(Some)))
    }

    /// Lets calls that wait go by the settings in force.
    pub(crate) fn apply_settings(&self) {
        self.limiter.signal();
    }
}

impl<R: Borrow<RateLimitSettings>> RateLimit<R> {
    /// Takes capacity by the counts of this process, if there is enough now for the calls that wait and for this one.
    ///
    /// # Errors
    ///
    /// There is no capacity; the error says when there will be.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), RateLimited> {
        // Without patience there is nothing to wait for.
        self.limiter.acquire(self.rules(), 0, clock::thread_now).map(drop)
    }

    /// Takes capacity by the counts of this process, and waits for it on the thread as long as the settings say.
    ///
    /// # Errors
    ///
    /// There is no capacity in time; the error says when there will be.
    #[inline]
    pub fn acquire(&self) -> Result<(), RateLimited> {
        match self.limiter.acquire(self.rules(), u64::MAX, clock::thread_now)? {
            None => Ok(()),
            Some(waiting) => waiting.on_thread(),
        }
    }

    /// Takes capacity, and waits for it as long as the settings say. Asks the store, if there is one.
    ///
    /// # Errors
    ///
    /// There is no capacity in time; the error says when there will be.
    ///
    /// # Panics
    ///
    /// If it has to wait outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn acquire_async(&self) -> Result<(), RateLimited>
    where
        R: Sync,
    {
        let mut patience = u64::MAX;
        if self.rules().has_store() {
            match Box::pin(stored::ask(&self.limiter, self.rules())).await? {
                None => return Ok(()),
                Some(left) => patience = left,
            }
        }
        match self.limiter.acquire(self.rules(), patience, clock::task_now)? {
            None => Ok(()),
            // In a box, so that a future that never waits is not larger for it.
            Some(waiting) => Box::pin(waiting.in_task()).await,
        }
    }

    /// Makes a call when there is a place for it, and waits for one on the thread as long as the settings say.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    #[inline]
    pub fn call<T, E: From<RateLimited>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.acquire()?;
        work()
    }

    /// Makes a call when there is a place for it, and waits for one as long as the settings say.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    ///
    /// # Panics
    ///
    /// If it has to wait outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn call_async<T, E: From<RateLimited>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E>
    where
        R: Sync,
    {
        self.acquire_async().await?;
        work().await
    }

    /// The settings in force; `None` if no place has declared a limit, and every call is let through.
    #[must_use]
    pub fn config(&self) -> Option<RateLimitConfig> {
        self.rules().config()
    }

    /// Counts, settings and totals.
    #[must_use]
    pub fn snapshot(&self) -> RateLimitSnapshot {
        let (config, totals) = (self.config(), self.limiter.totals.sums());
        let (in_window, waiting) = self.limiter.load(self.rules());
        let (key, overflow) = key::parts(self.limiter.key.as_ref());
        RateLimitSnapshot {
            name: self.rules().name,
            key,
            overflow,
            limit: config.map_or(0, |config| config.limit),
            per: config.map(|config| config.per).unwrap_or_default(),
            in_window,
            waiting,
            admitted: totals.get(Count::Success),
            rejected: totals.get(Count::Rejection),
        }
    }

    /// Forgets the calls that were counted, so that there is room for as many as if there had been none. Totals stay.
    ///
    /// Calls that wait have their turn at once, in order. What a store counts elsewhere stays as it is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{RateLimit, RateLimitConfig};
    ///
    /// static LOGIN: RateLimit = RateLimit::new("login", RateLimitConfig::new(1, Duration::from_secs(60)));
    /// LOGIN.try_acquire()?;
    /// assert!(LOGIN.try_acquire().is_err());
    /// LOGIN.reset();
    /// LOGIN.try_acquire()?;
    /// # Ok::<(), steadfast::RateLimited>(())
    /// ```
    pub fn reset(&self) {
        self.limiter.reset();
    }

    #[inline]
    fn rules(&self) -> &RateLimitSettings {
        self.rules.borrow()
    }
}

impl<R: Borrow<RateLimitSettings>> fmt::Debug for RateLimit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.rules().name)
            .field("key", &self.limiter.key)
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}

/// As its [`snapshot`](RateLimit::snapshot).
impl<R: Borrow<RateLimitSettings>> fmt::Display for RateLimit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
