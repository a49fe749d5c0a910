//! One circuit breaker per key, for example per host, tenant or shard. [`crate::keyed`] stores them.
//!
//! **Invariant:** a breaker whose rejections still matter is never evicted: one that is open and not yet due, one that is ramping up, and one
//! under a manual override that has not expired.

mod snapshot;

use std::{
    borrow::Borrow,
    fmt::{self, Display},
    sync::{Arc, atomic::AtomicBool},
};

use once_cell::race::OnceBox;

pub use self::snapshot::KeyedSnapshot;
use super::{BreakerConfig, BreakerSettings, CircuitBreaker, engine::Core};
use crate::{
    BreakerState, ConfigChange, ConfigLayer,
    events::{self, Event},
    key::Key,
    keyed::{self, KeyedEntry, Text, ring::EvictionClass},
    totals::{Count, Sums, Totals},
};

/// The breaker of one key in a [`KeyedBreakers`]: a [`CircuitBreaker`] that shares its settings with the breakers of the other keys.
pub type KeyedBreaker = CircuitBreaker<KeyedBreakerSettings>;

/// One circuit breaker per key, all with the same settings. An open key does not affect the others.
///
/// A key is any value that implements `Display`; values with the same text are the same key. The breaker of a key is created with its first
/// call. Later lookups do not allocate if the text has at most 128 bytes.
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
/// The number of keys is at most [`max_keys`](Self::max_keys), 10,000 by default, which bounds the memory: about 200 bytes per key and its
/// text. When the maximum is reached, a new key evicts another. The order of eviction is:
///
/// 1. a closed breaker without failures that was not used recently,
/// 2. an open or half-open breaker that would admit a trial call and has been in its state for at least twice the recovery timeout, such as
///    that of a removed host; or a breaker whose manual override has expired,
/// 3. a closed breaker without failures that was used recently,
/// 4. a closed breaker with failures, whose counts are lost.
///
/// Never evicted are a breaker that has been open for less than twice its recovery timeout, one that is ramping up, one under a manual
/// override, and one with a reference held by a caller, for a call in flight or otherwise.
///
/// A new key inspects eight breakers on average and 128 at most, independent of the number of keys. If it can evict none of these, its calls
/// go through the [`overflow`](Self::overflow) breaker, which all such keys share, until an eviction succeeds; an
/// [event](crate::events::Event::KeysOverflowed) is emitted. The overflow breaker has no key, and no key refers to it.
///
/// A breaker with a window by time takes up to another 1.5 KiB, and one with a window by calls 8 bytes per call of the window from its first
/// failure on. Unlike those of other breakers, the totals of a key are counted by all threads in one place.
#[derive(Debug)]
pub struct KeyedBreakers {
    name: &'static str,
    declared: BreakerConfig,
    max_keys: usize,
    store: OnceBox<Store>,
}

/// The settings of a keyed breaker, shared with the breakers of the other keys.
#[derive(Debug)]
pub struct KeyedBreakerSettings {
    settings: Arc<BreakerSettings>,
    /// The reference bit of the CLOCK eviction: set by a lookup, cleared when the hand passes.
    used: AtomicBool,
}

#[derive(Debug)]
struct Store {
    settings: Arc<BreakerSettings>,
    breakers: keyed::Store<KeyedBreaker>,
}

impl KeyedBreakers {
    /// The default maximum number of keys.
    pub const DEFAULT_MAX_KEYS: usize = 10_000;

    /// Creates a set without breakers; each key gets one with its first call. Declare it as a `static`, and register it
    /// with [`register!`](crate::register) or with `#[circuit_breaker(breaker = PATH, key = ...)]`.
    #[must_use]
    pub const fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self { name, declared: config, max_keys: Self::DEFAULT_MAX_KEYS, store: OnceBox::new() }
    }

    /// Sets the maximum number of keys; 10,000 by default. Memory is allocated per key, not in advance.
    ///
    /// # Panics
    ///
    /// If `keys` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_keys(mut self, keys: usize) -> Self {
        assert!(keys > 0, "`max_keys` must be at least 1: with 0 all keys would share one breaker");
        self.max_keys = keys;
        self
    }

    /// The breaker of a key, created if there is none.
    ///
    /// A breaker is not evicted while the returned reference exists; keep it for a call, not permanently.
    ///
    /// # Panics
    ///
    /// If the `Display` of the key panics. Nothing has changed then.
    pub fn breaker<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedBreaker> {
        let mut text = Text::new();
        let text = text.with(key);
        let Store { settings, breakers } = self.store();
        let (name, max_keys) = (self.name, self.max_keys);
        breakers.of(
            text,
            max_keys,
            |key, _| CircuitBreaker {
                core: Core::new(&settings.rules(), Totals::plain(), Some(key)),
                settings: KeyedBreakerSettings { settings: settings.clone(), used: AtomicBool::new(false) },
            },
            || events::publish(Event::KeysOverflowed { kind: super::named::TERMS.kind, name, max_keys }),
        )
    }

    /// The breaker of a key; `None` if there is none.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedBreaker>> {
        self.store.get()?.breakers.get(Text::new().with(key))
    }

    /// The overflow breaker, which all keys share that have no breaker of their own; `None` if it was never needed.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedBreaker>> {
        self.store.get()?.breakers.overflow()
    }

    /// The number of keys with a breaker.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.get().map_or(0, |store| store.breakers.len())
    }

    /// Returns true if no key has a breaker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the current breakers of all keys, and the overflow breaker if there is one. None of them is evicted while the iterator
    /// exists.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedBreaker>> + use<> {
        let (_, breakers) = self.all();
        breakers.into_iter().chain(self.overflow())
    }

    /// The number of keys by state, and the totals of all keys, evicted ones included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let (retired, breakers) = self.all();
        let keys = (breakers.len(), self.max_keys);
        let breakers = breakers.into_iter().chain(self.overflow());
        KeyedSnapshot::new(self.name, keys, retired, breakers.map(|breaker| (breaker.state(), breaker.core.sums())))
    }

    /// The `keys` unhealthiest breakers: those that are not closed first, and then those with the most rejections.
    #[must_use]
    pub fn unhealthiest(&self, keys: usize) -> Vec<Arc<KeyedBreaker>> {
        keyed::top(self.iter(), keys, |breaker| {
            let rejections = breaker.core.sums().get(Count::Rejection);
            (breaker.state() != BreakerState::Closed, rejections)
        })
    }

    /// Measures all keys together, and selects the unhealthy breakers that have their own series.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure(&self, top: usize) -> Reading {
        let (retired, entries) = self.all();
        let (mut sums, mut states, mut troubled) = (retired, [0; 5], Vec::new());
        for breaker in entries.into_iter().chain(self.overflow()) {
            sums = sums.plus(breaker.core.sums());
            states[breaker.state().index()] += 1;
            if breaker.view().is_troubled() {
                troubled.push(breaker);
            }
        }
        let rank =
            |breaker: &KeyedBreaker| (breaker.state() != BreakerState::Closed, breaker.sums().get(Count::Rejection));
        let top = self.store.get().map(|store| store.breakers.told(troubled, top, rank)).unwrap_or_default();
        Reading { sums, states, top }
    }

    /// The name of the breakers.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.store.get().map_or(self.declared, |store| store.settings.config())
    }

    /// Changes the settings of all keys at run time, as
    /// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) does for one breaker.
    pub fn reconfigure(&self, config: BreakerConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure), as
    /// [`CircuitBreaker::reset_config`](crate::CircuitBreaker::reset_config) does for one breaker.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BreakerConfig>) {
        let changed = self.store().settings.change(|layers| layers.set_live(live));
        self.apply_settings();
        events::config_applied(ConfigLayer::Live, || changed.map(|config| self.changed(config)).into_iter().collect());
    }

    /// Replaces the settings from a file and the environment. The caller then calls [`apply_settings`](Self::apply_settings).
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<BreakerConfig>) -> Option<ConfigChange> {
        if outside.is_none() && self.store.get().is_none() {
            return None;
        }
        self.store().settings.change(|layers| layers.set_outside(outside)).map(|config| self.changed(config))
    }

    /// Applies the settings in force to the current states.
    pub(crate) fn apply_settings(&self) {
        for breaker in self.iter() {
            breaker.view().apply_settings();
        }
    }

    fn changed(&self, config: BreakerConfig) -> ConfigChange {
        ConfigChange::new(super::named::TERMS.table, self.name, config)
    }

    /// The declared settings and maximum number of keys.
    pub(crate) const fn declared(&self) -> (BreakerConfig, usize) {
        (self.declared, self.max_keys)
    }

    /// The totals of evicted keys, and the breakers of all current keys.
    fn all(&self) -> (Sums, Vec<Arc<KeyedBreaker>>) {
        self.store.get().map_or_else(Default::default, |store| store.breakers.all())
    }

    #[inline]
    fn store(&self) -> &Store {
        self.store.get_or_init(|| {
            let settings = Arc::new(BreakerSettings::new(self.name, self.declared));
            Box::new(Store { settings, breakers: keyed::Store::new() })
        })
    }
}

/// The measurements of keyed breakers for metrics.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) struct Reading {
    /// The totals of all keys, evicted ones included.
    pub(crate) sums: Sums,
    /// The number of breakers in each state.
    pub(crate) states: [u64; 5],
    /// The breakers that have their own series.
    pub(crate) top: Vec<Arc<KeyedBreaker>>,
}

impl KeyedBreaker {
    /// The name, which the breakers of all keys share.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.settings.name
    }

    /// The text of the key; empty for the [overflow breaker](Self::is_overflow), which has no key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.core.key().and_then(Key::text).map_or("", |key| key)
    }

    /// Returns true for the [`KeyedBreakers::overflow`] breaker, which all keys share that have no breaker of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.core.key().is_some_and(Key::is_overflow)
    }

    /// The text of the key, and true for the overflow breaker.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn label(&self) -> (Option<Arc<str>>, bool) {
        crate::key::parts(self.core.key())
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn sums(&self) -> Sums {
        self.core.sums()
    }
}

impl Borrow<BreakerSettings> for KeyedBreakerSettings {
    fn borrow(&self) -> &BreakerSettings {
        &self.settings
    }
}

impl KeyedEntry for KeyedBreaker {
    fn key(&self) -> &str {
        self.key()
    }

    fn used(&self) -> &AtomicBool {
        &self.settings.used
    }

    fn standing(&self) -> EvictionClass {
        self.view().standing()
    }

    fn sums(&self) -> Sums {
        self.core.sums()
    }
}

/// The `Display` of their [`snapshot`](KeyedBreakers::snapshot).
impl Display for KeyedBreakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
