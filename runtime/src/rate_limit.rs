//! Rate limits: at most `limit` calls per period.
//!
//! [`counter`] counts calls, and [`queue`] orders waiting calls. [`limiter`] admits, queues or rejects a call that arrives, and [`waiter`]
//! is a call that waits. With an external store, calls wait in a [`store_queue`], as [`store_waiter`]s. This file has the public methods.

mod config;
mod counter;
#[cfg(feature = "keyed")]
mod keyed;
mod limiter;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
mod named;
mod queue;
mod settings;
mod snapshot;
#[cfg(feature = "tokio")]
mod store_queue;
#[cfg(feature = "tokio")]
mod store_request;
#[cfg(feature = "tokio")]
mod store_waiter;
mod waiter;

use std::{borrow::Borrow, fmt};

#[cfg(feature = "tokio")]
use self::limiter::Queued;
pub(crate) use self::named::RateLimits;
pub use self::{
    config::{Algorithm, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimitStore},
    named::{RATE_LIMITS, rate_limit, rate_limits},
    snapshot::RateLimitSnapshot,
};
#[cfg(feature = "keyed")]
pub use self::{
    keyed::{KeyedAcquire, KeyedRateLimit, KeyedRateLimits},
    named::{KEYED_RATE_LIMITS, all_keyed_rate_limits, keyed_rate_limits},
    snapshot::KeyedRateLimitSnapshot,
};
use self::{limiter::Limiter, settings::RateLimitSettings, waiter::Waiter};
use crate::{
    ConfigLayer, RateLimited, Setting, clock, events,
    keyed_store::key,
    keying::{Keying, Unkeyed},
    totals::Count,
};

/// A rate limit: at most `limit` calls start in any sliding window of length `per`, with the default [`Algorithm`].
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
/// A call counts from the moment at which it starts. A rejected call does not count.
///
/// With [`max_wait`](RateLimitConfig::max_wait), calls above the limit wait in a FIFO queue that threads and tasks share. The first waiter
/// takes capacity as it becomes available, and no call overtakes it. A waiter holds no capacity: if it gives up, the next waiter is the
/// first at once. A call that would not be admitted in time, even if each waiter before it starts as early as it can, is rejected at once.
/// A waiter that is due but does not run for a second, such as a future that is no longer polled, is skipped until it runs; so are the
/// waiters behind it that do not run either.
///
/// # Permits
///
/// A call takes one permit, and [`try_acquire_many`](Self::try_acquire_many), [`acquire_many`](Self::acquire_many) and
/// `acquire_many_async` take several at once: a batch of 20 items, or the tokens of a request. The limit is then a number of permits per
/// period. A call gets all of its permits or none. While the first waiter waits for several, no lighter call overtakes it. A call that
/// takes more permits than the limit is [rejected](RateLimited::exceeds_limit) at once, however long it may wait, and is not transient. A
/// call that takes no permit is admitted at once, even if the limit is reached.
///
/// For an error type without `From<RateLimited>`, use `acquire` and convert the rejection:
///
/// ```
/// # use std::time::Duration;
/// # use steadfast::{RateLimit, RateLimitConfig};
/// static TOKENS: RateLimit = RateLimit::new("tokens", RateLimitConfig::new(10_000, Duration::from_secs(60)));
///
/// fn complete(prompt: &str) -> Result<usize, String> {
///     TOKENS.acquire_many(prompt.len() as u32).map_err(|limited| limited.to_string())?;
///     Ok(prompt.len())
/// }
/// # complete("once upon a time").unwrap();
/// ```
///
/// # Cost
///
/// A decision takes a lock for a few nanoseconds, and reads the clock. Times have a resolution of a microsecond. On Linux, if `per` is a
/// second or more and at most half of `limit` is in use, a call counts from up to 10 ms after its start, because it reads a clock that is
/// late by up to 10 ms. So no window contains too many calls, and capacity is regained at most 10 ms late.
pub struct RateLimit<K: Keying = Unkeyed> {
    limiter: Limiter,
    settings: K::Settings<RateLimitSettings>,
}

impl RateLimit {
    /// Creates a rate limit. Declare it as a `static`, and list it with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: RateLimitConfig) -> Self {
        Self { limiter: Limiter::new(None), settings: RateLimitSettings::new(name, Some(config)) }
    }

    pub(crate) fn with_optional(name: &'static str, config: Option<RateLimitConfig>) -> Self {
        Self { limiter: Limiter::new(None), settings: RateLimitSettings::new(name, config) }
    }

    /// The settings that the code declares.
    pub(crate) fn declared_config(&self) -> Option<RateLimitConfig> {
        self.settings.declared()
    }

    /// Returns the name of the rate limit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.settings.name
    }

    /// Changes the settings. The counts are kept unless the algorithm changes. Waiting calls use the new limit at once; each keeps the
    /// `max_wait` that was set when it arrived.
    ///
    /// The new settings replace those from the code, a file and the environment as a whole, until [`reset_config`](Self::reset_config).
    pub fn reconfigure(&self, config: RateLimitConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure). The settings in the code are in force again, overridden by those of a
    /// file and the environment.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<RateLimitConfig>) {
        let change = self.settings.update(|layers| layers.set_live(live.map(Some)));
        self.limiter.signal(); // waiting calls use the new settings
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }
}

impl<K: Keying> RateLimit<K> {
    /// Takes capacity without waiting, by the counts of this process. Succeeds if there is enough for the waiting calls and for this one.
    ///
    /// # Errors
    ///
    /// If there is no capacity; the error contains the time until there is.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), RateLimited> {
        // With a patience of zero, the call is never queued.
        self.limiter.acquire(self.own_settings(), 1, 0).map(drop)
    }

    /// Takes several permits without waiting, as [`try_acquire`](Self::try_acquire) takes one. 0 permits are admitted at once.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use steadfast::{RateLimit, RateLimitConfig};
    /// static ROWS: RateLimit = RateLimit::new("rows", RateLimitConfig::new(100, Duration::from_secs(1)));
    ///
    /// ROWS.try_acquire_many(80)?;
    /// assert!(ROWS.try_acquire_many(30).is_err(), "20 are left");
    /// ROWS.try_acquire_many(20)?;
    /// assert!(ROWS.try_acquire_many(101).is_err_and(|limited| limited.exceeds_limit()));
    /// # Ok::<(), steadfast::RateLimited>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no capacity for all of them, or if they are more than the limit.
    #[inline]
    pub fn try_acquire_many(&self, permits: u32) -> Result<(), RateLimited> {
        if permits == 0 {
            self.count_free();
            return Ok(());
        }
        self.limiter.acquire(self.own_settings(), permits, 0).map(drop)
    }

    /// Takes capacity by the counts of this process. Blocks the thread for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// If there is no capacity in time; the error contains the time until there is.
    #[inline]
    pub fn acquire(&self) -> Result<(), RateLimited> {
        match self.limiter.acquire(self.own_settings(), 1, u64::MAX)? {
            None => Ok(()),
            Some(queued) => Waiter::new(&self.limiter, self.own_settings(), queued, clock::thread_now).on_thread(),
        }
    }

    /// Takes several permits, as [`acquire`](Self::acquire) takes one. 0 permits are admitted at once.
    ///
    /// # Errors
    ///
    /// If there is no capacity for all of them in time, or, at once, if they are more than the limit.
    #[inline]
    pub fn acquire_many(&self, permits: u32) -> Result<(), RateLimited> {
        if permits == 0 {
            self.count_free();
            return Ok(());
        }
        match self.limiter.acquire(self.own_settings(), permits, u64::MAX)? {
            None => Ok(()),
            Some(queued) => Waiter::new(&self.limiter, self.own_settings(), queued, clock::thread_now).on_thread(),
        }
    }

    /// Takes capacity, by the counts of the external store if there is one. Waits for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// If there is no capacity in time; the error contains the time until there is.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn acquire_async(&self) -> Result<(), RateLimited> {
        if self.own_settings().has_store() {
            // Boxed, like the wait, so that the future is small for calls that do not wait.
            return Box::pin(self.acquire_from_store(1)).await;
        }
        match self.limiter.acquire(self.own_settings(), 1, u64::MAX)? {
            None => Ok(()),
            Some(queued) => Box::pin(self.waiter(queued).in_task()).await,
        }
    }

    /// Takes several permits, as [`acquire_async`](Self::acquire_async) takes one. 0 permits are admitted at once, without a request to the
    /// external store.
    ///
    /// # Errors
    ///
    /// If there is no capacity for all of them in time, or, at once, if they are more than the limit.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn acquire_many_async(&self, permits: u32) -> Result<(), RateLimited> {
        if permits == 0 {
            self.count_free();
            return Ok(());
        }
        if self.own_settings().has_store() {
            return Box::pin(self.acquire_from_store(permits)).await;
        }
        match self.limiter.acquire(self.own_settings(), permits, u64::MAX)? {
            None => Ok(()),
            Some(queued) => Box::pin(self.waiter(queued).in_task()).await,
        }
    }

    /// Takes permits by the counts of the external store, or by those of this process if the store cannot decide.
    #[cfg(feature = "tokio")]
    async fn acquire_from_store(&self, permits: u32) -> Result<(), RateLimited> {
        let Some(patience) = store_waiter::acquire(&self.limiter, self.own_settings(), permits).await? else {
            return Ok(());
        };
        match self.limiter.acquire(self.own_settings(), permits, patience)? {
            None => Ok(()),
            Some(queued) => self.waiter(queued).in_task().await,
        }
    }

    /// Creates the waiter of a call that is in the queue, for a task.
    #[cfg(feature = "tokio")]
    fn waiter(&self, queued: Queued) -> Waiter<'_> {
        Waiter::new(&self.limiter, self.own_settings(), queued, clock::task_now)
    }

    /// Runs `work` once there is capacity. Blocks the thread for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// The error of `work`, or the rejection converted into the caller's error type.
    #[inline]
    pub fn call<T, E: From<RateLimited>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.acquire()?;
        work()
    }

    /// Runs `work` once there is capacity, by the counts of the external store if there is one. Waits for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// The error of `work`, or the rejection converted into the caller's error type.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn call_async<T, E: From<RateLimited>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        self.acquire_async().await?;
        work().await
    }

    /// Returns the settings in force; `None` if no limit is set, so that every call is admitted.
    #[must_use]
    pub fn config(&self) -> Option<RateLimitConfig> {
        self.own_settings().config()
    }

    /// Returns the options in force, each with the place from which its value is; none if no limit is set.
    ///
    /// The options are written as in the attribute, in a fixed order, with those that have their default. An option without an effect, because
    /// it needs another one that is off, is left out.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.own_settings().settings()
    }

    /// Returns the counts, the settings and the totals.
    #[must_use]
    pub fn snapshot(&self) -> RateLimitSnapshot {
        let (config, totals) = (self.config(), self.limiter.state().totals);
        let (in_window, waiting) = self.limiter.usage(self.own_settings());
        let (key, overflow) = key::parts(self.limiter.key.as_ref());
        RateLimitSnapshot {
            name: self.own_settings().name,
            key,
            overflow,
            limit: config.map_or(0, |config| config.limit),
            per: config.map(|config| config.per).unwrap_or_default(),
            burst: config.and_then(|config| config.burst),
            in_window,
            waiting,
            admitted: totals.get(Count::Success),
            rejected: totals.get(Count::Rejection),
        }
    }

    /// Discards the counts of this process, so that the full limit is available. Totals are kept.
    ///
    /// Waiting calls are admitted at once, in order, as far as the limit allows. The counts of an external store are not affected.
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

    /// Counts a call that takes no permit.
    #[cold]
    fn count_free(&self) {
        self.limiter.count(Count::Success);
    }

    #[inline]
    fn own_settings(&self) -> &RateLimitSettings {
        self.settings.borrow()
    }
}

impl<K: Keying> fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.own_settings().name)
            .field("key", &self.limiter.key)
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}

/// Displays the [`snapshot`](RateLimit::snapshot).
impl<K: Keying> fmt::Display for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
