//! One circuit breaker per key, such as a host, a tenant or a shard. [`KeyedStore`] creates and evicts the breakers.
//!
//! **Invariant:** a breaker whose rejections still matter is never evicted: one that is open and not yet due, one that ramps up, or one
//! that an operator has overridden.

mod snapshot;

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use std::time::Duration;
use std::{
    fmt::{self, Display},
    sync::Arc,
};

pub use self::snapshot::KeyedSnapshot;
use super::{BreakerConfig, BreakerSettings, CircuitBreaker, OwnedPermit, engine::Engine};
use crate::{
    BreakerState, CircuitOpen, ConfigChange, ConfigLayer, Durations, InvalidSetting,
    errors::PolicyConfig,
    events::{self, Event},
    keyed_store::{EvictionClass, KeyedEntry, KeyedStore, SharedSettings, StoreTotals, key::Key, top_by},
    keying::{Keyed, KeyedSettings},
    layers::{Layered, Setting},
    totals::{Count, Sums, Totals},
};
#[cfg(feature = "config")]
use crate::{layers::ExternalOptions, registry::PolicySettings};

/// One of the breakers of a [`KeyedBreakers`]: a [`CircuitBreaker`] that shares its settings with those of the other keys.
pub type KeyedBreaker = CircuitBreaker<Keyed>;

/// One circuit breaker per key, all with the same settings. An open breaker of one key does not affect the others.
///
/// A key is any value that implements `Display`; keys with the same text are the same key. The breaker of a key is created by its first
/// call. Later calls find it without an allocation if the text has no more than 128 bytes.
///
/// ```
/// use std::io;
/// use steadfast::{BreakerConfig, BreakerState, KeyedBreakers};
///
/// static HOSTS: KeyedBreakers = KeyedBreakers::new("hosts", BreakerConfig::new().failure_threshold(2)).max_keys(1_000);
///
/// fn fetch(host: &str) -> io::Result<String> {
///     HOSTS.breaker(host).call(|| Err(io::ErrorKind::TimedOut.into()))
/// }
///
/// for _ in 0..2 {
///     assert!(fetch("down.example.org").is_err());
/// }
/// assert_eq!(HOSTS.get("down.example.org").map(|breaker| breaker.state()), Some(BreakerState::Open));
/// assert_eq!(HOSTS.breaker("up.example.org").state(), BreakerState::Closed);
/// ```
///
/// # Limits
///
/// There are at most [`max_keys`](Self::max_keys) keys, 10,000 by default, so that a flood of keys takes a bounded amount of memory. Each
/// key takes about 200 bytes plus its text. At the limit, a new key evicts another one. The order of eviction is:
///
/// 1. a closed breaker without failures that was not used recently,
/// 2. a breaker that is open or half-open, would admit a trial call, and has been in its state for at least twice the recovery timeout
///    (a host that is gone), or one whose manual override has expired,
/// 3. a closed breaker without failures that was used recently,
/// 4. a closed breaker with failures; its failures are lost.
///
/// A breaker is never evicted if it has been open for less than twice its recovery timeout, if it is ramping up after its recovery, if an
/// operator has overridden it, or if a caller holds it, for a call in flight or otherwise.
///
/// To make room for a new key, eight breakers are examined on average and at most 128, regardless of the number of keys. If none of these
/// can be evicted, the calls of the key go through the [`overflow`](Self::overflow) breaker, which all such keys share, until a later call
/// can evict a breaker. An [event](crate::events::Event::KeysOverflowed) is emitted. The overflow breaker has no key and cannot be reached
/// by one.
///
/// A breaker with [`hung_call`](BreakerConfig::hung_call) takes another 0.6 KiB. One with a time-based window takes up to another 1.5 KiB, and one with a count-based window 8 bytes for each call of its window
/// once a call has failed or was slow. The totals of a key are counted in memory that all threads share, unlike those of a breaker without
/// keys.
#[derive(Debug)]
pub struct KeyedBreakers {
    store: KeyedStore<KeyedBreaker>,
}

impl KeyedBreakers {
    /// The default of the maximum number of keys.
    pub const DEFAULT_MAX_KEYS: usize = KeyedStore::<KeyedBreaker>::DEFAULT_MAX_KEYS;

    /// Creates keyed breakers with these settings and no key. Declare them as a `static`, and register it with
    /// [`register!`](crate::register) or with `#[circuit_breaker(breaker = PATH, key = ...)]`.
    #[must_use]
    pub const fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self { store: KeyedStore::new(name, config) }
    }

    /// Sets the maximum number of keys. Memory is allocated per key in use.
    ///
    /// # Panics
    ///
    /// If `keys` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_keys(mut self, keys: usize) -> Self {
        assert!(keys > 0, "`max_keys` must be at least 1: with 0, all keys would share one breaker");
        self.store.max_keys = keys;
        self
    }

    /// Sets the value as [`max_keys`](Self::max_keys) does, with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If `keys` is 0.
    pub fn try_max_keys(self, keys: usize) -> Result<Self, InvalidSetting> {
        if keys == 0 {
            return Err(InvalidSetting::new("`max_keys` must be at least 1: with 0, all keys would share one breaker"));
        }
        Ok(self.max_keys(keys))
    }

    /// Returns the breaker of a key, and creates it if there is none. Returns the overflow breaker if there is no room for another key.
    ///
    /// A breaker is not evicted while it is held: hold it for a call, not for longer.
    ///
    /// # Panics
    ///
    /// If the `Display` of the key panics. Nothing changes in that case.
    pub fn breaker<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedBreaker> {
        self.store.get_or_insert(key)
    }

    /// Requests admission for one call of a key, with a permit that holds the breaker of the key. The breaker is not evicted while the permit
    /// exists.
    ///
    /// # Errors
    ///
    /// Returns [`CircuitOpen`] if the circuit of the key rejects the call.
    ///
    /// # Panics
    ///
    /// As for [`breaker`](Self::breaker).
    pub fn try_acquire_owned<K: Display + ?Sized>(&self, key: &K) -> Result<OwnedPermit<Keyed>, CircuitOpen> {
        self.breaker(key).try_acquire_owned()
    }

    /// Returns the breaker of a key, if there is one. The lookup does not delay its eviction.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedBreaker>> {
        self.store.get(key)
    }

    /// Returns the overflow breaker, which is shared by all keys without a breaker of their own; `None` if there was room for every key.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedBreaker>> {
        self.store.overflow()
    }

    /// Returns the number of keys that have a breaker.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Returns true if no key has a breaker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the breakers of all keys at this moment, and the overflow breaker, if there is one. None of them is evicted while the
    /// iterator exists.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedBreaker>> + use<> {
        self.store.entries().into_iter()
    }

    /// Returns the number of keys by state, and the totals of all keys, evicted ones included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let StoreTotals { keys, sums, entries } = self.store.survey();
        KeyedSnapshot::new(
            self.name(),
            (keys, self.store.max_keys),
            (sums, self.durations()),
            entries.iter().map(|breaker| breaker.state()),
        )
    }

    /// The durations of the calls of all keys; `None` if they are not recorded.
    pub(super) fn durations(&self) -> Option<Durations> {
        self.store.shared_settings().and_then(BreakerSettings::durations)
    }

    /// Returns at most `keys` breakers, the unhealthiest first: breakers that are not closed come before closed ones, and then those with
    /// more rejections before those with fewer.
    #[must_use]
    pub fn unhealthiest(&self, keys: usize) -> Vec<Arc<KeyedBreaker>> {
        top_by(self.iter(), keys, unhealthiness)
    }

    /// Reads the totals and states of all keys, and selects the breakers that get metric series of their own.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure(&self, top: usize) -> KeyedMetrics {
        let StoreTotals { sums, entries, .. } = self.store.survey();
        let (mut states, mut unhealthy) = ([0; 5], Vec::new());
        let (mut in_outage, mut outage) = (0, Duration::ZERO);
        for breaker in entries {
            states[breaker.state().index()] += 1;
            if let Some(lasted) = breaker.view().outage_in_use() {
                in_outage += 1;
                outage = outage.max(lasted);
            }
            if breaker.view().is_unhealthy() {
                unhealthy.push(breaker);
            }
        }
        KeyedMetrics { sums, states, in_outage, outage, top: self.store.with_series(unhealthy, top, unhealthiness) }
    }

    /// Returns the declared name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.store.name
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.store.config()
    }

    /// Returns the options in force, as [`CircuitBreaker::settings`](crate::CircuitBreaker::settings) does for one breaker, and `max_keys`.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.store.settings()
    }

    /// Changes the settings of all keys, as [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) does for one breaker.
    pub fn reconfigure(&self, config: BreakerConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure), as
    /// [`CircuitBreaker::reset_config`](crate::CircuitBreaker::reset_config) does for one breaker.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BreakerConfig>) {
        let change = self.store.set_live(live);
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }

    /// Returns the declared settings and the maximum number of keys.
    pub(crate) const fn declared(&self) -> (BreakerConfig, usize) {
        (self.store.declared, self.store.max_keys)
    }
}

#[cfg(feature = "config")]
impl PolicySettings for KeyedBreakers {
    fn set_external(&self, config: Option<BreakerConfig>, options: ExternalOptions) -> Option<ConfigChange> {
        self.store.set_external(config, options)
    }

    fn apply_settings(&self) {
        self.store.apply_settings();
    }
}

/// Ranks a breaker for [`KeyedBreakers::unhealthiest`]: the state first, and then the rejections, those only observed included.
fn unhealthiness(breaker: &KeyedBreaker) -> (bool, u64) {
    let sums = breaker.engine.sums();
    (breaker.state() != BreakerState::Closed, sums.get(Count::Rejection).saturating_add(sums.observed_rejections()))
}

/// The metrics of keyed breakers.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) struct KeyedMetrics {
    /// The totals of all keys since the start of the program.
    pub(crate) sums: Sums,
    /// The number of breakers in each state.
    pub(crate) states: [u64; 5],
    /// The number of keys in use whose circuit has opened and not closed since.
    pub(crate) in_outage: u64,
    /// The longest outage of these keys; zero without one.
    pub(crate) outage: Duration,
    /// The breakers that have series of their own.
    pub(crate) top: Vec<Arc<KeyedBreaker>>,
}

impl KeyedBreaker {
    /// Returns the declared name, which is the same for all keys.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.shared.name
    }

    /// Returns the text of the key; empty for the [overflow](Self::is_overflow) breaker, which has no key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key_text()
    }

    /// Returns true for the overflow breaker, which is shared by all keys without a breaker of their own: see [`KeyedBreakers::overflow`].
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.engine.key().is_some_and(Key::is_overflow)
    }

    /// Returns the text of the key, and true for the overflow breaker.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn label(&self) -> (Option<Arc<str>>, bool) {
        crate::keyed_store::key::parts(self.engine.key())
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn sums(&self) -> Sums {
        self.engine.sums()
    }
}

impl KeyedEntry for KeyedBreaker {
    type Settings = BreakerSettings;

    fn create(settings: KeyedSettings<BreakerSettings>, key: Key, _: Option<&Self>) -> Self {
        Self { engine: Engine::new(&settings.shared.parameters(), Totals::unsharded(), Some(key)), settings }
    }

    fn keyed_settings(&self) -> &KeyedSettings<BreakerSettings> {
        &self.settings
    }

    fn key(&self) -> Option<&Key> {
        self.engine.key()
    }

    fn eviction_class(&self) -> EvictionClass {
        self.view().eviction_class()
    }

    fn sums(&self) -> Sums {
        self.engine.sums()
    }

    fn apply_settings(&self) {
        self.view().apply_settings();
    }

    fn emit_overflow(name: &'static str, max_keys: usize) {
        events::publish(Event::KeysOverflowed { kind: BreakerConfig::TERMS.kind, name, max_keys });
    }
}

impl SharedSettings for BreakerSettings {
    type Config = BreakerConfig;

    fn new(name: &'static str, declared: BreakerConfig) -> Self {
        Self::new(name, declared)
    }

    fn config(&self) -> BreakerConfig {
        self.config()
    }

    fn settings(&self) -> Vec<Setting> {
        self.settings()
    }

    fn update(&self, layer: impl FnOnce(&mut Layered<BreakerConfig>)) -> Option<ConfigChange> {
        self.change(layer).map(|config| PolicyConfig::change(self.name, Some(config)))
    }
}

/// Displays the [`snapshot`](KeyedBreakers::snapshot).
impl Display for KeyedBreakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
