//! Bulkheads per key, such as a tenant, a host or a shard. [`KeyedStore`] creates and evicts them.
//!
//! **Invariant:** a bulkhead with permits in use, or with waiting calls, is never evicted. So no key has more calls in flight than
//! `max_concurrent`, however many other keys there are.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use super::{
    Bulkhead, BulkheadConfig, KeyedBulkheadSnapshot, semaphore::Usage, semaphore_with, settings::BulkheadSettings,
};
use crate::{
    ConfigChange, ConfigLayer, InvalidSetting,
    checked::valid,
    errors::PolicyConfig,
    events::{self, Event},
    keyed_store::{EvictionClass, KeyedEntry, KeyedStore, SharedSettings, StoreTotals, key::Key, top_by},
    keying::{Keyed, KeyedSettings},
    layers::{Layered, Setting},
    totals::{Count, Sums, Totals},
};
#[cfg(feature = "config")]
use crate::{layers::ExternalOptions, registry::PolicySettings};

/// One of the bulkheads of a [`KeyedBulkheads`]: a [`Bulkhead`] that shares its settings with those of the other keys.
pub type KeyedBulkhead = Bulkhead<Keyed>;

/// One bulkhead per key, all with the same settings, so that one slow host or one busy tenant cannot take the permits of the others.
///
/// A key is any value that implements `Display`; keys with the same text are the same key.
///
/// ```
/// use steadfast::{BulkheadConfig, KeyedBulkheads};
///
/// static TENANTS: KeyedBulkheads =
///     KeyedBulkheads::new("tenants", BulkheadConfig::new().max_concurrent(1)).max_keys(1_000);
///
/// let of_ada = TENANTS.bulkhead("ada").try_acquire_owned()?;
/// assert!(TENANTS.bulkhead("ada").try_acquire().is_err());
/// assert!(TENANTS.bulkhead("grace").try_acquire().is_ok());
/// drop(of_ada);
/// assert!(TENANTS.bulkhead("ada").try_acquire().is_ok());
/// # Ok::<(), steadfast::BulkheadFull>(())
/// ```
///
/// # Limits
///
/// There are at most [`max_keys`](Self::max_keys) keys, 10,000 by default. At this maximum, a new key evicts one that is not in use. A
/// bulkhead with calls in flight or waiting, or that a caller holds, is never evicted.
///
/// To make room for a new key, eight bulkheads are examined on average and at most 128, whatever their number. If none of these can be
/// evicted, an [event](crate::events::Event::KeysOverflowed) is emitted, and the calls of the key use the [`overflow`](Self::overflow)
/// bulkhead, which all such keys share, until a later call finds room. The overflow bulkhead has no key, and no key selects it.
///
/// Each key takes about 300 bytes and its text. The totals of a key are counted in memory that all threads share.
#[derive(Debug)]
pub struct KeyedBulkheads {
    store: KeyedStore<KeyedBulkhead>,
}

impl KeyedBulkheads {
    /// The default maximum number of keys.
    pub const DEFAULT_MAX_KEYS: usize = KeyedStore::<KeyedBulkhead>::DEFAULT_MAX_KEYS;

    /// Creates keyed bulkheads with these settings and no key. Declare them as a `static`, and list them with
    /// [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: BulkheadConfig) -> Self {
        Self { store: KeyedStore::new(name, config) }
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

    /// Returns the bulkhead of a key, and creates it if there is none; the overflow bulkhead if there is no room for another key.
    ///
    /// A bulkhead is not evicted while it is held: hold it for a call, not for longer.
    ///
    /// If the `Display` of the key panics, the panic propagates to the caller and nothing has changed.
    pub fn bulkhead<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedBulkhead> {
        self.store.get_or_insert(key)
    }

    /// Returns the bulkhead of a key, if there is one. The lookup does not delay its eviction.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedBulkhead>> {
        self.store.get(key)
    }

    /// Returns the overflow bulkhead, shared by all keys that have none of their own; `None` if no key has ever lacked room.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedBulkhead>> {
        self.store.overflow()
    }

    /// Returns the number of keys that have a bulkhead.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Returns true if no key has a bulkhead.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bulkheads of all keys at this moment, and the overflow bulkhead, if there is one. None of them is evicted while the
    /// iterator exists.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedBulkhead>> + use<> {
        self.store.entries().into_iter()
    }

    /// Returns the number of bulkheads that are full, the calls in flight, and the totals of all keys, evicted ones included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedBulkheadSnapshot {
        let (StoreTotals { keys, sums, entries }, config) = (self.store.survey(), self.config());
        let (mut full, mut in_flight, mut waiting) = (0, 0, 0);
        for usage in entries.iter().map(|bulkhead| bulkhead.semaphore.usage()) {
            full += usize::from(usage.waiting > 0 || usage.in_use >= config.max_concurrent);
            in_flight += u64::from(usage.in_use);
            waiting += u64::from(usage.waiting);
        }
        KeyedBulkheadSnapshot {
            name: self.name(),
            max_concurrent: config.max_concurrent,
            max_queue: config.max_queue,
            keys,
            max_keys: self.store.max_keys,
            full,
            in_flight,
            waiting,
            admitted: sums.get(Count::Success),
            rejected: sums.get(Count::Rejection),
        }
    }

    /// Returns up to `keys` bulkheads with the most rejections, in descending order. Bulkheads without rejections are left out.
    #[must_use]
    pub fn most_rejected(&self, keys: usize) -> Vec<Arc<KeyedBulkhead>> {
        top_by(self.iter().filter(|bulkhead| bulkhead.rejections() > 0), keys, KeyedBulkhead::rejections)
    }

    /// Returns the bulkheads that get a metric series of their own: those with the most rejections.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(super) fn with_series(&self, keys: usize) -> Vec<Arc<KeyedBulkhead>> {
        let candidates = self.iter().filter(|bulkhead| bulkhead.rejections() > 0).collect();
        self.store.with_series(candidates, keys, KeyedBulkhead::rejections)
    }

    /// The settings that the code declares.
    pub(crate) const fn declared_config(&self) -> BulkheadConfig {
        self.store.declared
    }

    /// The declared maximum number of keys.
    pub(crate) const fn declared_max_keys(&self) -> usize {
        self.store.max_keys
    }

    /// Returns the name of the bulkheads.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.store.name
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.store.config()
    }

    /// Returns the options in force, as [`Bulkhead::settings`](crate::Bulkhead::settings) does for one bulkhead, and `max_keys`.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.store.settings()
    }

    /// Changes the settings of all keys, as [`Bulkhead::reconfigure`] does for one bulkhead.
    pub fn reconfigure(&self, config: BulkheadConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure), as [`Bulkhead::reset_config`] does for one bulkhead.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BulkheadConfig>) {
        let change = self.store.set_live(live);
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }
}

const fn checked_max_keys(keys: usize) -> Result<usize, InvalidSetting> {
    match keys {
        0 => Err(InvalidSetting::new("`max_keys` must be at least 1: with 0, all keys would share one bulkhead")),
        keys => Ok(keys),
    }
}

#[cfg(feature = "config")]
impl PolicySettings for KeyedBulkheads {
    fn set_external(&self, config: Option<BulkheadConfig>, options: ExternalOptions) -> Option<ConfigChange> {
        self.store.set_external(config, options)
    }

    fn apply_settings(&self) {
        self.store.apply_settings();
    }
}

impl KeyedBulkhead {
    /// Returns the name of the bulkheads, which is the same for all keys.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.shared.name
    }

    /// Returns the text of the key; empty for the [overflow](Self::is_overflow) bulkhead, which has no key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key_text()
    }

    /// Returns true for the [overflow](KeyedBulkheads::overflow) bulkhead, which all keys without a bulkhead of their own share.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.key.as_ref().is_some_and(Key::is_overflow)
    }

    fn rejections(&self) -> u64 {
        self.sums().get(Count::Rejection)
    }
}

impl KeyedEntry for KeyedBulkhead {
    type Settings = BulkheadSettings;

    fn create(settings: KeyedSettings<BulkheadSettings>, key: Key, _: Option<&Self>) -> Self {
        let semaphore = semaphore_with(settings.shared.config().max_concurrent);
        Self { semaphore, totals: Totals::unsharded(), key: Some(key), settings }
    }

    fn keyed_settings(&self) -> &KeyedSettings<BulkheadSettings> {
        &self.settings
    }

    fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    fn eviction_class(&self) -> EvictionClass {
        match self.semaphore.usage() {
            Usage { in_use: 0, waiting: 0 } => EvictionClass::Idle,
            _ => EvictionClass::Pinned,
        }
    }

    fn sums(&self) -> Sums {
        self.totals.sums()
    }

    fn apply_settings(&self) {
        self.adopt_settings();
    }

    fn emit_overflow(name: &'static str, max_keys: usize) {
        events::publish(Event::KeysOverflowed { kind: BulkheadConfig::TERMS.kind, name, max_keys });
    }
}

impl SharedSettings for BulkheadSettings {
    type Config = BulkheadConfig;

    fn new(name: &'static str, declared: BulkheadConfig) -> Self {
        Self::new(name, declared)
    }

    fn config(&self) -> BulkheadConfig {
        self.config()
    }

    fn settings(&self) -> Vec<Setting> {
        self.settings()
    }

    fn update(&self, layer: impl FnOnce(&mut Layered<BulkheadConfig>)) -> Option<ConfigChange> {
        self.update(layer)
    }
}

/// Displays the [`snapshot`](KeyedBulkheads::snapshot).
impl Display for KeyedBulkheads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
