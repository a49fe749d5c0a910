//! A circuit breaker for each key: for each host, tenant or shard.
//!
//! Keys are found in a concurrent map. New keys, and those that leave, pass through one lock; they leave in the order of
//! CLOCK, an approximation of least recently used in which a use costs at most one store (Corbató, A paging experiment with
//! the Multics system, 1968).
//!
//! **Invariant:** a breaker leaves only while nobody but map and ring holds it, judged where nobody can get hold of it. So
//! no call is under way through a breaker that has left, and none leaves that is not closed.

pub(super) mod ring;
mod summary;
mod text;

use std::{
    borrow::Borrow,
    cmp::Reverse,
    fmt::{self, Display},
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use once_cell::race::OnceBox;

pub use self::summary::KeyedSnapshot;
use self::{
    ring::{Place, Ring},
    text::Text,
};
use super::{BreakerConfig, BreakerState, CircuitBreaker, Settings, core::Core};
use crate::{
    events::{self, Event},
    registry::Declaration,
    totals::{Count, Sums, Totals},
};

/// One of the breakers of a [`KeyedBreakers`]: a [`CircuitBreaker`] that shares its settings with those of the other keys.
pub type KeyedBreaker = CircuitBreaker<SharedSettings>;

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
/// nothing is said, of which each takes about 200 bytes and its text. When all places are taken, a newcomer gets the place
/// of one that is closed: of one without failures that has not been used lately, if there is one. A breaker that is open,
/// half-open or held by an operator never leaves, and neither does one that somebody holds, for a call that is under way
/// or otherwise.
///
/// When none can leave, newcomers share one more breaker, the [`overflow`](Self::overflow), and an
/// [event](crate::events::Event::KeysOverflowed) says so.
///
/// A breaker by time takes another 1.5 KiB, and one by calls 8 bytes for each call of its window once one has failed.
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
pub struct SharedSettings {
    settings: Arc<Settings>,
    /// Looked for since the hand of the clock came by last.
    used: AtomicBool,
}

#[derive(Debug)]
struct Store {
    settings: Arc<Settings>,
    map: scc::HashSet<Entry, foldhash::fast::RandomState>,
    ring: Mutex<Ring<Entry>>,
    overflow: OnceBox<Entry>,
}

/// A breaker in the map, where its key is what counts.
#[derive(Clone, Debug)]
struct Entry(Arc<KeyedBreaker>);

/// Map and ring.
const HOLDERS: usize = 2;

/// What the overflow's breaker calls itself.
const OVERFLOW: &str = "(overflow)";

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
        let text = Text::of(key);
        let store = self.store();
        let Entry(breaker) = match store.find(text.as_str()) {
            Some(found) => found,
            None => self.add(store, text.as_str()),
        };
        breaker
    }

    /// The breaker of a key, if there is one.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedBreaker>> {
        let found = self.store.get()?.map.read_sync(Text::of(key).as_str(), Clone::clone);
        found.map(|Entry(breaker)| breaker)
    }

    /// The breaker that keys share which have none of their own, if it ever came to that.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedBreaker>> {
        self.store.get()?.overflow.get().map(|Entry(breaker)| breaker.clone())
    }

    /// How many keys have a breaker.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.get().map_or(0, |store| store.ring().len())
    }

    /// Whether no key has a breaker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The breakers of all keys that have one at this moment, and the overflow's, if there is one. While the iterator
    /// exists, none of them leaves.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedBreaker>> + use<> {
        let entries = self.store.get().map(|store| store.ring().entries());
        entries.into_iter().flatten().map(|Entry(breaker)| breaker).chain(self.overflow())
    }

    /// How many keys there are in which state, and the totals of all, those that have left included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedSnapshot {
        let (retired, entries) = self.retired_and_present();
        let keys = (entries.len(), self.max_keys);
        let breakers = entries.into_iter().chain(self.overflow());
        KeyedSnapshot::new(self.name, keys, retired, breakers.map(|breaker| (breaker.state(), breaker.core.sums())))
    }

    /// What those counted that have left, and those that have not: at one moment, so that nobody is in both. Without the overflow.
    fn retired_and_present(&self) -> (Sums, Vec<Arc<KeyedBreaker>>) {
        self.store.get().map_or_else(Default::default, |store| {
            let ring = store.ring();
            (ring.retired(), ring.entries().into_iter().map(|Entry(breaker)| breaker).collect())
        })
    }

    /// The breakers of the keys that need looking at first, so many at most: those that are not closed, and then those that have
    /// rejected most calls.
    #[must_use]
    pub fn most_troubled(&self, keys: usize) -> Vec<Arc<KeyedBreaker>> {
        self.top(keys, |breaker| {
            let rejections = breaker.core.sums().get(Count::Rejection);
            (breaker.state() != BreakerState::Closed, rejections)
        })
    }

    /// The breakers for which `rank` is highest, highest first.
    fn top<R: Ord>(&self, keys: usize, rank: impl Fn(&KeyedBreaker) -> R) -> Vec<Arc<KeyedBreaker>> {
        let ranked = |breaker: Arc<KeyedBreaker>| (Reverse(rank(&breaker)), breaker);
        let mut all: Vec<_> = self.iter().map(ranked).collect();
        let by_rank = |one: &(Reverse<R>, Arc<KeyedBreaker>), other: &(Reverse<R>, _)| one.0.cmp(&other.0);
        if keys < all.len() {
            all.select_nth_unstable_by(keys, by_rank);
            all.truncate(keys);
        }
        all.sort_by(by_rank);
        all.into_iter().map(|(_, breaker)| breaker).collect()
    }

    /// What metrics tell of all keys, and the breakers that have rejected most.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure(&self, top: usize) -> Reading {
        let (retired, entries) = self.retired_and_present();
        let (mut sums, mut states) = (retired, [0; 5]);
        for breaker in entries.into_iter().chain(self.overflow()) {
            sums = sums.plus(breaker.core.sums());
            states[super::history::index(breaker.state())] += 1;
        }
        Reading { sums, states, top: self.top(top, |breaker| breaker.core.sums().get(Count::Rejection)) }
    }

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What [`register!`](crate::register) leaves in the registry.
    #[doc(hidden)]
    #[track_caller]
    #[must_use]
    pub const fn declaration(&'static self) -> Declaration {
        Declaration::of_keyed(self)
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.store.get().map_or(self.declared, |store| store.settings.config())
    }

    /// Changes the settings of all keys from now on, as
    /// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) does for one.
    pub fn reconfigure(&self, config: BreakerConfig) {
        self.store().settings.replace(config);
        for breaker in self.iter() {
            breaker.view().adopt();
        }
    }

    /// The settings it was declared with, and how many keys.
    pub(crate) const fn declared(&self) -> (BreakerConfig, usize) {
        (self.declared, self.max_keys)
    }

    #[inline]
    fn store(&self) -> &Store {
        self.store.get_or_init(|| Box::new(Store::new(self.name, self.declared)))
    }

    #[cold]
    fn add(&self, store: &Store, key: &str) -> Entry {
        let mut ring = store.ring();
        // Another thread may have been first.
        if let Some(found) = store.find(key) {
            return found;
        }
        let place = if ring.len() < self.max_keys { Place::New } else { ring.make_room(|entry| store.remove(entry)) };
        if matches!(place, Place::None) {
            let overflow = store.overflow.get_or_init(|| Box::new(store.entry(OVERFLOW))).clone();
            let is_news = ring.overflows();
            drop(ring);
            if is_news {
                events::publish(Event::KeysOverflowed { breakers: self.name, max_keys: self.max_keys });
            }
            return overflow;
        }
        let entry = store.entry(key);
        // It is not there: only who holds the ring's lock adds.
        _ = store.map.insert_sync(entry.clone());
        ring.put(place, entry.clone());
        entry
    }
}

/// What metrics tell of the breakers of a name.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) struct Reading {
    /// Of all keys that there ever were.
    pub(crate) sums: Sums,
    /// How many are in which state.
    pub(crate) states: [u64; 5],
    pub(crate) top: Vec<Arc<KeyedBreaker>>,
}

impl Store {
    fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self {
            settings: Arc::new(Settings::new(name, config)),
            map: scc::HashSet::default(),
            ring: Mutex::default(),
            overflow: OnceBox::new(),
        }
    }

    #[inline]
    fn find(&self, key: &str) -> Option<Entry> {
        self.map.read_sync(key, |entry| {
            entry.use_it();
            entry.clone()
        })
    }

    fn entry(&self, key: &str) -> Entry {
        let settings = SharedSettings { settings: self.settings.clone(), used: AtomicBool::new(false) };
        let core = Core::new(&self.settings.rules(), Totals::plain(), Some(key.into()));
        Entry(Arc::new(CircuitBreaker { core, settings }))
    }

    /// Takes a breaker out of the map, if nobody can be using it: the map's lock keeps everybody from getting hold of it
    /// meanwhile.
    fn remove(&self, entry: &Entry) -> bool {
        let Entry(breaker) = entry;
        let removed = self.map.remove_if_sync(entry.key(), || {
            Arc::strong_count(breaker) == HOLDERS && breaker.state() == BreakerState::Closed
        });
        removed.is_some()
    }

    fn ring(&self) -> MutexGuard<'_, Ring<Entry>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyedBreaker {
    /// The name it was declared with; all keys have the same.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.settings.settings.name
    }

    /// The text of its key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.core.key().map_or("", |key| key)
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn shared_key(&self) -> Option<Arc<str>> {
        self.core.key().cloned()
    }

    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn sums(&self) -> Sums {
        self.core.sums()
    }
}

impl Borrow<Settings> for SharedSettings {
    fn borrow(&self) -> &Settings {
        &self.settings
    }
}

impl Entry {
    fn key(&self) -> &str {
        self.0.key()
    }

    #[inline]
    fn use_it(&self) {
        // ORDERING: Relaxed: a hint. Looked at first, so that a busy key is not written at each use.
        let used = &self.0.settings.used;
        if !used.load(Ordering::Relaxed) {
            used.store(true, Ordering::Relaxed);
        }
    }
}

impl ring::Candidate for Entry {
    fn standing(&self) -> ring::Standing {
        let Self(breaker) = self;
        // ORDERING: Relaxed, as above.
        let used = breaker.settings.used.swap(false, Ordering::Relaxed);
        if Arc::strong_count(breaker) > HOLDERS || breaker.state() != BreakerState::Closed {
            ring::Standing::Stays
        } else if breaker.core.has_failures() {
            ring::Standing::Failing
        } else if used {
            ring::Standing::Used
        } else {
            ring::Standing::Idle
        }
    }

    fn sums(&self) -> Sums {
        self.0.core.sums()
    }
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        self.key()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

/// As its key, by which it is looked for.
impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Display for KeyedBreakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
