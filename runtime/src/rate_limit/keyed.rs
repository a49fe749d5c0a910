//! Rate limits per key, such as a user, a tenant or a host. [`KeyedStore`] creates and evicts them.
//!
//! **Invariant:** a limit is evicted only while its window is empty, and a new one starts with the counts of the overflow limit. So the
//! calls of a key are not forgotten, however many other keys there are.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use super::{KeyedRateLimitSnapshot, RateLimit, RateLimitConfig, limiter::Limiter, settings::RateLimitSettings};
use crate::{
    ConfigChange, ConfigLayer, InvalidSetting, RateLimited,
    checked::valid,
    errors::PolicyConfig,
    events::{self, Event},
    keyed_store::{EvictionClass, KeyedEntry, KeyedStore, SharedSettings, StoreTotals, key::Key, top_by},
    keying::{Keyed, KeyedSettings},
    layers::{Layered, Setting},
    totals::{Count, Sums},
};
#[cfg(feature = "config")]
use crate::{layers::ExternalOptions, registry::PolicySettings};

/// One of the limits of a [`KeyedRateLimits`]: a [`RateLimit`] that shares its settings with those of the other keys.
pub type KeyedRateLimit = RateLimit<Keyed>;

/// One rate limit per key, all with the same settings.
///
/// A key is any value that implements `Display`; keys with the same text are the same key. [`RateLimit::reset`] discards the counts of one
/// key.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{KeyedRateLimits, RateLimitConfig};
///
/// static USERS: KeyedRateLimits =
///     KeyedRateLimits::new("users", RateLimitConfig::new(1, Duration::from_secs(1))).max_keys(1_000);
///
/// assert!(USERS.limit("ada").try_acquire().is_ok());
/// assert!(USERS.limit("ada").try_acquire().is_err());
/// assert!(USERS.limit("grace").try_acquire().is_ok());
/// ```
///
/// # Limits
///
/// There are at most [`max_keys`](Self::max_keys) keys, 10,000 by default. At this maximum, a new key evicts one that has no calls in its
/// window. A limit that has calls in its window, or that a caller holds, is never evicted.
///
/// To make room for a new key, eight limits are examined on average and at most 128, whatever their number. If none of these can be
/// evicted, an [event](crate::events::Event::KeysOverflowed) is emitted, and the calls of the key count against the
/// [`overflow`](Self::overflow) limit, which all such keys share, until a later call finds room. So a flood of keys is itself limited: set
/// `max_keys` to at least the number of keys that call within one window. The overflow limit has no key, and no key selects it.
///
/// A key that finds room later may have made calls under the overflow limit. So its own limit starts with the calls in the window of the
/// overflow limit; they leave the window as usual. Calls that wait at the overflow limit are admitted and counted there.
///
/// Each key takes about 300 bytes, its text, and 8 bytes for each call in its window.
#[derive(Debug)]
pub struct KeyedRateLimits {
    store: KeyedStore<KeyedRateLimit>,
}

impl KeyedRateLimits {
    /// The default maximum number of keys.
    pub const DEFAULT_MAX_KEYS: usize = KeyedStore::<KeyedRateLimit>::DEFAULT_MAX_KEYS;

    /// Creates keyed rate limits with these settings and no key. Declare them as a `static`, and list them with
    /// [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: RateLimitConfig) -> Self {
        Self::with_optional(name, Some(config))
    }

    pub(crate) const fn with_optional(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        Self { store: KeyedStore::new(name, declared) }
    }

    /// Sets the maximum number of keys. Memory is allocated per key in use.
    ///
    /// # Panics
    ///
    /// If `keys` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_keys(mut self, keys: usize) -> Self {
        self.store.max_keys = valid!(checked_max_keys(keys));
        self
    }

    /// Sets the value as [`max_keys`](Self::max_keys) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `keys` is 0.
    pub fn try_max_keys(mut self, keys: usize) -> Result<Self, InvalidSetting> {
        self.store.max_keys = checked_max_keys(keys)?;
        Ok(self)
    }

    /// Returns the limit of a key, and creates it if there is none; the overflow limit if there is no room for another key.
    ///
    /// A limit is not evicted while it is held: hold it for a call, not for longer.
    ///
    /// If the `Display` of the key panics, the panic propagates to the caller and nothing has changed.
    pub fn limit<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedRateLimit> {
        self.store.get_or_insert(key)
    }

    /// Finds the limit of a key for a call, and admits the call if the lookup alone can: see [`RateLimit::try_acquire_at_once`].
    #[inline]
    pub(crate) fn try_acquire_at_once<K: Display + ?Sized>(&self, key: &K, permits: u32) -> KeyedAcquire {
        KeyedAcquire { limit: self.store.try_use(key, |limit| limit.try_acquire_at_once(permits)), permits }
    }

    /// Returns the limit of a key, if there is one. The lookup does not delay its eviction.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedRateLimit>> {
        self.store.get(key)
    }

    /// Returns the overflow limit, shared by all keys that have none of their own; `None` if no key has ever lacked room.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedRateLimit>> {
        self.store.overflow()
    }

    /// Returns the number of keys that have a limit.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Returns true if no key has a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the limits of all keys at this moment, and the overflow limit, if there is one. None of them is evicted while the iterator
    /// exists.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedRateLimit>> + use<> {
        self.store.entries().into_iter()
    }

    /// Returns the number of limits that are reached, and the totals of all keys, evicted ones included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedRateLimitSnapshot {
        let (StoreTotals { keys, sums, entries }, config) = (self.store.survey(), self.config());
        KeyedRateLimitSnapshot {
            name: self.name(),
            limit: config.map_or(0, |config| config.limit),
            per: config.map(|config| config.per).unwrap_or_default(),
            keys,
            max_keys: self.store.max_keys,
            reached: entries.iter().filter(|limit| limit.is_reached()).count(),
            admitted: sums.get(Count::Success),
            rejected: sums.get(Count::Rejection),
        }
    }

    /// Returns up to `keys` limits with the most rejections, in descending order. Limits without rejections are left out.
    #[must_use]
    pub fn most_rejected(&self, keys: usize) -> Vec<Arc<KeyedRateLimit>> {
        top_by(self.iter().filter(|limit| limit.rejections() > 0), keys, KeyedRateLimit::rejections)
    }

    /// Returns the limits that get a metric series of their own: those with rejections that still count calls or have waiters.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn with_series(&self, keys: usize) -> Vec<Arc<KeyedRateLimit>> {
        let is_in_use = |limit: &KeyedRateLimit| limit.limiter.usage(limit.own_settings()) != (0, 0);
        let candidates = self.iter().filter(|limit| limit.rejections() > 0 && is_in_use(limit)).collect();
        self.store.with_series(candidates, keys, KeyedRateLimit::rejections)
    }

    /// The settings that the code declares.
    pub(crate) const fn declared_config(&self) -> Option<RateLimitConfig> {
        self.store.declared
    }

    /// The declared maximum number of keys.
    pub(crate) const fn declared_max_keys(&self) -> usize {
        self.store.max_keys
    }

    /// Returns the name of the rate limits.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.store.name
    }

    /// Returns the settings in force; `None` if no limit is set, so that every call is admitted.
    #[must_use]
    pub fn config(&self) -> Option<RateLimitConfig> {
        self.store.config()
    }

    /// Returns the options in force, as [`RateLimit::settings`](crate::RateLimit::settings) does for one limit, and `max_keys`.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.store.settings()
    }

    /// Changes the settings of all keys, as [`RateLimit::reconfigure`] does for one limit.
    pub fn reconfigure(&self, config: RateLimitConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure), as [`RateLimit::reset_config`] does for one limit.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<RateLimitConfig>) {
        let change = self.store.set_live(live.map(Some));
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }
}

const fn checked_max_keys(keys: usize) -> Result<usize, InvalidSetting> {
    match keys {
        0 => Err(InvalidSetting::new("`max_keys` must be at least 1: with 0, all keys would share one limit")),
        keys => Ok(keys),
    }
}

/// A call under a limit that was found by its key.
#[derive(Debug)]
pub struct KeyedAcquire {
    /// The limit that has to admit the call; `None` if the lookup has admitted it.
    limit: Option<Arc<KeyedRateLimit>>,
    permits: u32,
}

impl KeyedAcquire {
    /// Takes capacity, as [`RateLimit::acquire`] does, unless the call is already admitted.
    ///
    /// # Errors
    ///
    /// If there is no capacity in time.
    #[inline]
    pub fn acquire(&self) -> Result<(), RateLimited> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.acquire_many(self.permits))
    }

    /// Takes capacity, as [`RateLimit::acquire_async`] does, unless the call is already admitted.
    ///
    /// # Errors
    ///
    /// If there is no capacity in time.
    #[cfg(feature = "tokio")]
    #[inline]
    pub async fn acquire_async(&self) -> Result<(), RateLimited> {
        match &self.limit {
            Some(limit) => limit.acquire_many_async(self.permits).await,
            None => Ok(()),
        }
    }

    /// Takes capacity, as [`RateLimit::try_acquire`] does, unless the call is already admitted.
    ///
    /// # Errors
    ///
    /// If there is no capacity.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), RateLimited> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.try_acquire_many(self.permits))
    }
}

#[cfg(feature = "config")]
impl PolicySettings for KeyedRateLimits {
    fn set_external(&self, config: Option<RateLimitConfig>, options: ExternalOptions) -> Option<ConfigChange> {
        self.store.set_external(config.map(Some), options)
    }

    fn apply_settings(&self) {
        self.store.apply_settings();
    }
}

impl KeyedRateLimit {
    /// Returns the name of the rate limits, which is the same for all keys.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.shared.name
    }

    /// Returns the text of the key; empty for the [overflow](Self::is_overflow) limit, which has no key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key_text()
    }

    /// Returns true for the [overflow](KeyedRateLimits::overflow) limit, which all keys without a limit of their own share.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.limiter.key.as_ref().is_some_and(Key::is_overflow)
    }

    /// Admits a call for one permit that need not wait, by the coarse clock and the counts of this process. Returns false if
    /// [`acquire`](Self::acquire) has to decide, or another thread is deciding.
    #[inline]
    fn try_acquire_at_once(&self, permits: u32) -> bool {
        permits == 1 && self.limiter.try_acquire_at_once(self.own_settings())
    }

    fn rejections(&self) -> u64 {
        self.sums().get(Count::Rejection)
    }

    fn is_reached(&self) -> bool {
        let (in_window, waiting) = self.limiter.usage(self.own_settings());
        self.config().is_some_and(|config| in_window + waiting >= config.get_burst() as usize)
    }
}

impl KeyedEntry for KeyedRateLimit {
    type Settings = RateLimitSettings;

    fn create(settings: KeyedSettings<RateLimitSettings>, key: Key, overflow: Option<&Self>) -> Self {
        let limiter = match overflow {
            Some(overflow) => overflow.limiter.fork(&settings.shared, key),
            None => Limiter::new(Some(key)),
        };
        Self { limiter, settings }
    }

    fn keyed_settings(&self) -> &KeyedSettings<RateLimitSettings> {
        &self.settings
    }

    fn key(&self) -> Option<&Key> {
        self.limiter.key.as_ref()
    }

    fn eviction_class(&self) -> EvictionClass {
        match self.limiter.usage(&self.settings.shared) {
            (0, 0) => EvictionClass::Idle,
            _ => EvictionClass::Pinned,
        }
    }

    fn sums(&self) -> Sums {
        self.limiter.state().totals
    }

    fn apply_settings(&self) {
        self.limiter.signal();
    }

    fn emit_overflow(name: &'static str, max_keys: usize) {
        events::publish(Event::KeysOverflowed { kind: RateLimitConfig::TERMS.kind, name, max_keys });
    }
}

impl SharedSettings for RateLimitSettings {
    type Config = Option<RateLimitConfig>;

    fn new(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        Self::new(name, declared)
    }

    fn config(&self) -> Option<RateLimitConfig> {
        self.config()
    }

    fn settings(&self) -> Vec<Setting> {
        self.settings()
    }

    fn update(&self, layer: impl FnOnce(&mut Layered<Option<RateLimitConfig>>)) -> Option<ConfigChange> {
        self.update(layer)
    }
}

/// Displays the [`snapshot`](KeyedRateLimits::snapshot).
impl Display for KeyedRateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    #[test]
    fn only_an_existing_limit_is_tried_and_a_handle_is_returned_if_that_fails() {
        let limits = KeyedRateLimits::new("tried", RateLimitConfig::new(1, Duration::from_secs(1)));
        let tries = Cell::new(0);
        let try_use = |succeeds| {
            limits.store.try_use("key", |limit| {
                tries.set(tries.get() + 1);
                assert_eq!(limit.key(), "key");
                succeeds
            })
        };
        for (succeeds, has_handle, expected_tries) in [(true, true, 0), (true, false, 1), (false, true, 2)] {
            let handle = try_use(succeeds);
            assert_eq!((handle.is_some(), tries.get()), (has_handle, expected_tries));
            assert!(handle.is_none_or(|handle| limits.get("key").is_some_and(|limit| Arc::ptr_eq(&handle, &limit))));
        }
    }

    #[test]
    fn a_call_that_the_lookup_admitted_is_not_counted_again() {
        let limits = KeyedRateLimits::new("admitted", RateLimitConfig::new(1, Duration::from_secs(1)));
        let limit = limits.limit("key");
        let acquire = |limit| KeyedAcquire { limit, permits: 1 }.acquire();
        assert!(acquire(None).is_ok());
        assert!(acquire(Some(limit.clone())).is_ok());
        assert!(acquire(Some(limit)).is_err());
    }
}
