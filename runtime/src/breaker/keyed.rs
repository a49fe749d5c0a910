//! A circuit breaker for each key: for each host, tenant or shard. [`crate::keyed`] keeps them.
//!
//! **Invariant:** a breaker whose rejections still matter is never evicted: not one that is open and not yet due, not one that ramps
//! up, and not one that an operator holds.

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

/// One of the breakers of a [`KeyedBreakers`]: a [`CircuitBreaker`] that shares its settings with those of the other keys.
pub type KeyedBreaker = CircuitBreaker<KeyedBreakerSettings>;

/// A circuit breaker for each key, all with the same settings: one host that is down does not close the way to the others.
///
/// A key is anything that has a `Display`; keys with the same text are the same key. Its breaker is made with its first
/// call and found again without an allocation, if the text has no more than 128 bytes.
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
/// There are at most [`max_keys`](Self::max_keys) keys, so that a flood of them takes no more memory than that; 10,000 if
/// nothing is said, of which each takes about 200 bytes and its text. When all places are taken, a new key evicts another. The order of
/// eviction is:
///
/// 1. a closed breaker without failures that was not used lately,
/// 2. one that is open or half-open, that would admit a trial call, and that has been in its state for at least twice the recovery
///    timeout: a host that is gone; or one that an operator held for a time that is over,
/// 3. a closed breaker without failures that was used lately,
/// 4. a closed breaker with failures, which are forgotten.
///
/// Never evicted are a breaker that is open for less than twice its recovery timeout, one that ramps up after its recovery, one that an
/// operator holds, and one that a caller holds, for a call that is under way or otherwise.
///
/// A new key looks at eight breakers on average and at most at 128, however many there are. If it can evict none of these, its calls go
/// through one more breaker that all such keys share, the [`overflow`](Self::overflow), until it finds a place; an
/// [event](crate::events::Event::KeysOverflowed) says so. The overflow has no key, and no key reaches it.
///
/// A breaker by time takes up to another 1.5 KiB, and one by calls 8 bytes for each call of its window once one has failed.
/// Unlike those of other breakers, the totals of a key are counted in one place by all threads.
#[derive(Debug)]
pub struct KeyedBreakers {
    name: &'static str,
    declared: BreakerConfig,
    max_keys: usize,
    store: OnceBox<Store>,
}

/// The settings of a keyed breaker, shared with those of the other keys.
#[derive(Debug)]
pub struct KeyedBreakerSettings {
    settings: Arc<BreakerSettings>,
    /// Looked for since the hand of the clock came by last.
    used: AtomicBool,
}

#[derive(Debug)]
struct Store {
    settings: Arc<BreakerSettings>,
    breakers: keyed::Store<KeyedBreaker>,
}

impl KeyedBreakers {
    /// The keys that there are at most if nothing is said.
    pub const DEFAULT_MAX_KEYS: usize = 10_000;

    /// No breaker yet; one for each key from its first call on, each with these settings. Declare it as a `static`, and list
    /// it with [`register!`](crate::register) or with `#[circuit_breaker(breaker = PATH, key = ...)]`.
    #[must_use]
    pub const fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self { name, declared: config, max_keys: Self::DEFAULT_MAX_KEYS, store: OnceBox::new() }
    }

    /// How many keys there are at most. The memory of keys that don't exist isn't taken.
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

    /// The breaker of a key, which is made if there is none yet.
    ///
    /// While it is held it does not leave; hold it for a call, not for good.
    ///
    /// A `Display` that panics does so here, before anything has changed.
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

    /// The breaker of a key, if there is one.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedBreaker>> {
        self.store.get()?.breakers.get(Text::new().with(key))
    }

    /// The breaker that all keys share that have none of their own, if it ever came to that.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedBreaker>> {
        self.store.get()?.breakers.overflow()
    }

    /// How many keys have a breaker.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.get().map_or(0, |store| store.breakers.len())
    }

    /// Whether no key has a breaker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The breakers of all keys that have one at this moment, and the overflow's, if there is one. While the iterator
    /// exists, none of them leaves.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedBreaker>> + use<> {
        let (_, breakers) = self.all();
        breakers.into_iter().chain(self.overflow())
    }

    /// How many keys there are in which state, and the totals of all, those that have left included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let (retired, breakers) = self.all();
        let keys = (breakers.len(), self.max_keys);
        let breakers = breakers.into_iter().chain(self.overflow());
        KeyedSnapshot::new(self.name, keys, retired, breakers.map(|breaker| (breaker.state(), breaker.core.sums())))
    }

    /// The breakers of the keys that need looking at first, so many at most: those that are not closed, and then those that have
    /// rejected most calls.
    #[must_use]
    pub fn unhealthiest(&self, keys: usize) -> Vec<Arc<KeyedBreaker>> {
        keyed::top(self.iter(), keys, |breaker| {
            let rejections = breaker.core.sums().get(Count::Rejection);
            (breaker.state() != BreakerState::Closed, rejections)
        })
    }

    /// Measures all keys together, and those breakers one by one that are in trouble.
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

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.store.get().map_or(self.declared, |store| store.settings.config())
    }

    /// Changes the settings of all keys from now on, as
    /// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) does for one.
    pub fn reconfigure(&self, config: BreakerConfig) {
        self.set_live(Some(config));
    }

    /// Ends what [`reconfigure`](Self::reconfigure) has set, as
    /// [`CircuitBreaker::reset_config`](crate::CircuitBreaker::reset_config) does for one.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BreakerConfig>) {
        let changed = self.store().settings.change(|layers| layers.set_live(live));
        self.apply_settings();
        events::config_applied(ConfigLayer::Live, || changed.map(|config| self.changed(config)).into_iter().collect());
    }

    /// Replaces the settings from a file and the environment; [`apply_settings`](Self::apply_settings) has to follow.
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<BreakerConfig>) -> Option<ConfigChange> {
        if outside.is_none() && self.store.get().is_none() {
            return None;
        }
        self.store().settings.change(|layers| layers.set_outside(outside)).map(|config| self.changed(config))
    }

    /// Judges what was counted by the settings in force.
    pub(crate) fn apply_settings(&self) {
        for breaker in self.iter() {
            breaker.view().apply_settings();
        }
    }

    fn changed(&self, config: BreakerConfig) -> ConfigChange {
        ConfigChange::new(super::named::TERMS.table, self.name, config)
    }

    /// The settings it was declared with, and how many keys.
    pub(crate) const fn declared(&self) -> (BreakerConfig, usize) {
        (self.declared, self.max_keys)
    }

    /// The totals of those that have left, and the breakers of all keys.
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

/// What metrics tell of the breakers of a name.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) struct Reading {
    /// Of all keys that there ever were.
    pub(crate) sums: Sums,
    /// How many are in which state.
    pub(crate) states: [u64; 5],
    /// Those that have series of their own.
    pub(crate) top: Vec<Arc<KeyedBreaker>>,
}

impl KeyedBreaker {
    /// The name it was declared with; all keys have the same.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.settings.name
    }

    /// The text of its key; empty for the [overflow](Self::is_overflow), which has no key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.core.key().and_then(Key::text).map_or("", |key| key)
    }

    /// True for the breaker that all keys share that have none of their own: the [`KeyedBreakers::overflow`].
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.core.key().is_some_and(Key::is_overflow)
    }

    /// The text of its key, and a flag for the overflow.
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

/// As their [`snapshot`](KeyedBreakers::snapshot).
impl Display for KeyedBreakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
