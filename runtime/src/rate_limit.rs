//! At most so many calls in so long.
//!
//! [`meter`] counts, [`limiter`] decides, this file waits and has the public methods.

mod config;
#[cfg(feature = "keyed")]
mod keyed;
mod limiter;
mod meter;
mod rejection;
mod snapshot;
mod store;

#[cfg(feature = "keyed")]
use std::collections::BTreeMap;
#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::{borrow::Borrow, fmt};

#[cfg(feature = "tokio")]
use self::config::Store;
use self::limiter::Limiter;
pub use self::{
    config::{Algorithm, RateLimitConfig},
    limiter::Rules,
    rejection::RateLimited,
    snapshot::RateLimitSnapshot,
    store::{RateLimitDecision, RateLimitRequest, RateLimitStore},
};
#[cfg(feature = "keyed")]
pub use self::{
    keyed::{
        KEYED_RATE_LIMITS, KeyedRateLimit, KeyedRateLimits, SharedRules, all_keyed_rate_limits, keyed_rate_limits,
    },
    snapshot::KeyedRateLimitSnapshot,
};
#[cfg(feature = "config")]
use crate::ConfigChange;
#[cfg(feature = "keyed")]
use crate::registry::{Place, places};
use crate::{
    registry::{Declared, DeclaredConfig, Listed, Registry, Shared},
    totals::{Count, Totals},
    wait,
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
/// A call that is rejected does not count. One that waits has its place already, so that those who wait come in the order in which
/// they asked, and are sure to come; dropped before, it gives its place back.
///
/// A decision takes a lock that is held for a few nanoseconds, and reads the clock. Times are whole microseconds.
pub struct RateLimit<R: Borrow<Rules> = Rules> {
    limiter: Limiter,
    rules: R,
}

impl RateLimit {
    /// A rate limit. Declare it as a `static`, and list it with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: RateLimitConfig) -> Self {
        Self { limiter: Limiter::new(Totals::sharded(), None), rules: Rules::new(name, Some(config)) }
    }

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.rules.name
    }

    /// Changes the settings from now on. What was counted goes on counting, unless it is by another algorithm.
    ///
    /// These settings hold as a whole, on top of those from a file and the environment, until [`reset_config`](Self::reset_config).
    pub fn reconfigure(&self, config: RateLimitConfig) {
        self.rules.set_live(Some(config));
    }

    /// Ends what [`reconfigure`](Self::reconfigure) has set: the settings of the code hold again, with those that a file and the
    /// environment put on top of them.
    pub fn reset_config(&self) {
        self.rules.set_live(None);
    }

    /// Replaces the settings from a file and the environment.
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<RateLimitConfig>) -> Option<ConfigChange> {
        self.rules.change(|layers| layers.set_outside(outside.map(Some)))
    }
}

impl<R: Borrow<Rules>> RateLimit<R> {
    /// Takes a place if there is one now, by the counts of this process.
    ///
    /// # Errors
    ///
    /// There is none; the error says when there will be one.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), RateLimited> {
        // Without patience there is nothing to wait for.
        self.limiter.acquire(self.rules(), false).map(drop)
    }

    /// Takes a place by the counts of this process, and waits for it on the thread as long as the settings say.
    ///
    /// # Errors
    ///
    /// There is none in time, which is known at once; the error says when there will be one.
    #[inline]
    pub fn acquire(&self) -> Result<(), RateLimited> {
        if let Some(place) = self.limiter.acquire(self.rules(), true)? {
            wait::sleep_on_thread(place.after);
            place.begin();
        }
        Ok(())
    }

    /// Takes a place, and waits for it as long as the settings say. Asks the store, if there is one.
    ///
    /// # Errors
    ///
    /// There is none in time, which is known at once; the error says when there will be one.
    ///
    /// # Panics
    ///
    /// If it has to wait outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn acquire_async(&self) -> Result<(), RateLimited>
    where
        R: Sync,
    {
        if self.rules().has_store() && self.ask_store().await? {
            return Ok(());
        }
        match self.limiter.acquire(self.rules(), true)? {
            None => Ok(()),
            Some(place) => {
                // In a box, so that a future that never waits is not larger for it.
                Box::pin(async {
                    tokio::time::sleep(place.after).await;
                    place.begin();
                })
                .await;
                Ok(())
            }
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
        RateLimitSnapshot {
            name: self.rules().name,
            key: self.limiter.key.clone(),
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
    /// Calls that wait go on waiting for as long as they were to, and count no more. What a store counts elsewhere stays as it is.
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
    fn rules(&self) -> &Rules {
        self.rules.borrow()
    }

    /// Asks the store; `false` if it can't say.
    #[cfg(feature = "tokio")]
    fn ask_store(&self) -> Pin<Box<dyn Future<Output = Result<bool, RateLimited>> + Send + '_>>
    where
        R: Sync,
    {
        Box::pin(async {
            let rules = self.rules();
            let Some(config) = rules.config() else { return Ok(false) };
            let Some(Store(store)) = config.store else { return Ok(false) };
            let request = RateLimitRequest { name: rules.name, key: self.limiter.key.as_deref(), config };
            match store.acquire(&request).await {
                RateLimitDecision::Admitted { after } => {
                    if !after.is_zero() {
                        tokio::time::sleep(after).await;
                    }
                    self.limiter.totals.add(Count::Success);
                    Ok(true)
                }
                RateLimitDecision::Rejected { retry_after } => Err(self.limiter.reject(rules, retry_after)),
                RateLimitDecision::Unknown => Ok(false),
            }
        })
    }
}

impl<R: Borrow<Rules>> fmt::Debug for RateLimit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.rules().name)
            .field("key", &self.limiter.key)
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}

/// As its [`snapshot`](RateLimit::snapshot).
impl<R: Borrow<Rules>> fmt::Display for RateLimit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// Where `#[rate_limit]` declares them.
#[linkme::distributed_slice]
pub static RATE_LIMITS: [&'static Declared<RateLimit>];

/// The rate limit of that name, also before its first call.
#[must_use]
pub fn rate_limit(name: &str) -> Option<&'static RateLimit> {
    RateLimit::registry().get(name)
}

/// Every named rate limit of the program, sorted by name, also before its first call.
///
/// ```
/// for limit in steadfast::rate_limits() {
///     println!("{limit}"); // search: 1 of 100 in 60s, 0 waiting; ...
/// }
/// ```
#[must_use]
pub fn rate_limits() -> Vec<&'static RateLimit> {
    RateLimit::registry().all()
}

impl Shared for RateLimit {
    type Config = RateLimitConfig;

    const NEEDS_SETTINGS: bool = true;

    fn create(name: &'static str, config: Option<RateLimitConfig>) -> Self {
        Self { limiter: Limiter::new(Totals::sharded(), None), rules: Rules::new(name, config) }
    }

    fn name(&self) -> &'static str {
        self.rules.name
    }

    fn declared(&self) -> Option<RateLimitConfig> {
        self.rules.declared()
    }

    fn show(config: Option<RateLimitConfig>) -> (DeclaredConfig, Option<usize>) {
        (DeclaredConfig::RateLimit(config), None)
    }

    #[cfg(feature = "keyed")]
    fn rivals() -> BTreeMap<&'static str, Place> {
        places::<KeyedRateLimits>()
    }

    fn listed(listed: Listed) -> Option<&'static Self> {
        if let Listed::RateLimit(own) = listed { Some(own) } else { None }
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &RATE_LIMITS
    }

    fn registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<RateLimit> = Registry::new();
        &REGISTRY
    }
}
