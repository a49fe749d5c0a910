//! A rate limit for each key: for each user, tenant or host. [`crate::keyed`] keeps them.
//!
//! **Invariant:** a limit is evicted only while its window is empty, and a new one begins with what the overflow has counted, so no key's
//! calls are forgotten because of other keys.

use std::{
    borrow::Borrow,
    fmt::{self, Display},
    sync::{Arc, atomic::AtomicBool},
};

use once_cell::race::OnceBox;

use super::{KeyedRateLimitSnapshot, RateLimit, RateLimitConfig, RateLimitSettings, limiter::Limiter};
#[cfg(feature = "config")]
use crate::ConfigChange;
use crate::{
    ConfigLayer,
    events::{self, Event},
    key::Key,
    keyed::{self, KeyedEntry, Text, ring::EvictionClass},
    totals::{Count, Sums, Totals},
};

/// One of the limits of a [`KeyedRateLimits`]: a [`RateLimit`] that shares its settings with those of the other keys.
pub type KeyedRateLimit = RateLimit<KeyedRateLimitSettings>;

/// A rate limit for each key, all with the same settings.
///
/// A key is anything that has a `Display`; keys with the same text are the same key. [`RateLimit::reset`] forgets what one has counted.
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
/// There are at most [`max_keys`](Self::max_keys) keys, 10,000 if nothing is said. When all places are taken, a new key evicts one that
/// has no calls in its window. Never evicted are a limit with calls in its window, and one that somebody holds.
///
/// A new key looks at eight limits on average and at most at 128, however many there are. If it can evict none of these, its calls count
/// against one more limit that all such keys share, the [`overflow`](Self::overflow), until it finds a place; an
/// [event](crate::events::Event::KeysOverflowed) says so. So a flood of keys is limited itself: give `max_keys` room for the
/// keys that call in one window. The overflow has no key, and no key reaches it.
///
/// A key that finds a place may have called through the overflow before. So its limit begins with the calls that the overflow has in its
/// window, and with those that wait there; they leave it as they grow old.
///
/// Each key takes about 300 bytes, its text, and 8 bytes for each call in its window.
#[derive(Debug)]
pub struct KeyedRateLimits {
    name: &'static str,
    declared: Option<RateLimitConfig>,
    max_keys: usize,
    store: OnceBox<Store>,
}

/// The settings of a keyed limit, shared with those of the other keys.
#[derive(Debug)]
pub struct KeyedRateLimitSettings {
    rules: Arc<RateLimitSettings>,
    /// Looked for since the hand of the clock came by last.
    used: AtomicBool,
}

#[derive(Debug)]
struct Store {
    rules: Arc<RateLimitSettings>,
    limits: keyed::Store<KeyedRateLimit>,
}

impl KeyedRateLimits {
    /// The keys that there are at most if nothing is said.
    pub const DEFAULT_MAX_KEYS: usize = 10_000;

    /// No limit yet; one for each key from its first call on, each with these settings. Declare it as a `static`, and list it
    /// with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: RateLimitConfig) -> Self {
        Self::with_optional(name, Some(config))
    }

    pub(crate) const fn with_optional(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        Self { name, declared, max_keys: Self::DEFAULT_MAX_KEYS, store: OnceBox::new() }
    }

    /// How many keys there are at most. The memory of keys that don't exist isn't taken.
    ///
    /// # Panics
    ///
    /// If `keys` is 0. In a `const` or `static` that is a compile error.
    #[must_use]
    pub const fn max_keys(mut self, keys: usize) -> Self {
        assert!(keys > 0, "`max_keys` must be at least 1: with 0 all keys would share one limit");
        self.max_keys = keys;
        self
    }

    /// The limit of a key, which is made if there is none yet.
    ///
    /// While it is held it does not leave; hold it for a call, not for good.
    ///
    /// A `Display` that panics does so here, before anything has changed.
    pub fn limit<K: Display + ?Sized>(&self, key: &K) -> Arc<KeyedRateLimit> {
        let mut text = Text::new();
        let text = text.with(key);
        let Store { rules, limits } = self.kept();
        let (name, max_keys) = (self.name, self.max_keys);
        limits.of(
            text,
            max_keys,
            |key, overflow| RateLimit {
                limiter: match overflow {
                    Some(overflow) => overflow.limiter.heir(rules, key),
                    None => Limiter::new(Totals::plain(), Some(key)),
                },
                rules: KeyedRateLimitSettings { rules: rules.clone(), used: AtomicBool::new(false) },
            },
            || events::publish(Event::KeysOverflowed { kind: super::named::TERMS.kind, name, max_keys }),
        )
    }

    /// The limit of a key, if there is one.
    #[must_use]
    pub fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<KeyedRateLimit>> {
        self.store.get()?.limits.get(Text::new().with(key))
    }

    /// The limit that all keys share that have none of their own, if it ever came to that.
    #[must_use]
    pub fn overflow(&self) -> Option<Arc<KeyedRateLimit>> {
        self.store.get()?.limits.overflow()
    }

    /// How many keys have a limit.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.get().map_or(0, |store| store.limits.len())
    }

    /// Whether no key has a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The limits of all keys that have one at this moment, and the overflow's, if there is one. While the iterator exists, none
    /// of them leaves.
    pub fn iter(&self) -> impl Iterator<Item = Arc<KeyedRateLimit>> + use<> {
        let (_, limits) = self.all();
        limits.into_iter().chain(self.overflow())
    }

    /// How many keys have reached their limit, and the totals of all, those that have left included.
    #[must_use]
    pub fn snapshot(&self) -> KeyedRateLimitSnapshot {
        let (retired, limits) = self.all();
        let (keys, config) = (limits.len(), self.config());
        let (mut totals, mut reached) = (retired, 0);
        for limit in limits.into_iter().chain(self.overflow()) {
            totals = totals.plus(limit.limiter.totals.sums());
            reached += usize::from(limit.is_reached());
        }
        KeyedRateLimitSnapshot {
            name: self.name,
            limit: config.map_or(0, |config| config.limit),
            per: config.map(|config| config.per).unwrap_or_default(),
            keys,
            max_keys: self.max_keys,
            reached,
            admitted: totals.get(Count::Success),
            rejected: totals.get(Count::Rejection),
        }
    }

    /// The limits of the keys that have had most calls rejected, most first, so many at most. A key that has had none is not among
    /// them.
    #[must_use]
    pub fn most_rejected(&self, keys: usize) -> Vec<Arc<KeyedRateLimit>> {
        keyed::top(self.iter().filter(|limit| limit.rejections() > 0), keys, KeyedRateLimit::rejections)
    }

    /// The limits that have series of their own in metrics: of those that have rejected calls and still count or delay some.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn top(&self, keys: usize) -> Vec<Arc<KeyedRateLimit>> {
        let is_in_use = |limit: &KeyedRateLimit| limit.limiter.load(limit.rules()) != (0, 0);
        let troubled = self.iter().filter(|limit| limit.rejections() > 0 && is_in_use(limit)).collect();
        self.store.get().map(|store| store.limits.told(troubled, keys, KeyedRateLimit::rejections)).unwrap_or_default()
    }

    /// The settings that the code declares.
    pub(crate) const fn declared_config(&self) -> Option<RateLimitConfig> {
        self.declared
    }

    pub(crate) const fn declared_max_keys(&self) -> usize {
        self.max_keys
    }

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The settings in force; `None` if no place has declared a limit, and every call is let through.
    #[must_use]
    pub fn config(&self) -> Option<RateLimitConfig> {
        self.store.get().map_or(self.declared, |store| store.rules.config())
    }

    /// Changes the settings of all keys from now on, as [`RateLimit::reconfigure`] does for one.
    pub fn reconfigure(&self, config: RateLimitConfig) {
        self.set_live(Some(config));
    }

    /// Ends what [`reconfigure`](Self::reconfigure) has set, as [`RateLimit::reset_config`] does for one.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<RateLimitConfig>) {
        let change = self.kept().rules.change(|layers| layers.set_live(live.map(Some)));
        self.apply_settings();
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }

    /// Replaces the settings from a file and the environment; [`apply_settings`](Self::apply_settings) has to follow.
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<RateLimitConfig>) -> Option<ConfigChange> {
        if outside.is_none() && self.store.get().is_none() {
            return None;
        }
        self.kept().rules.change(|layers| layers.set_outside(outside.map(Some)))
    }

    /// Lets calls that wait go by the settings in force.
    pub(crate) fn apply_settings(&self) {
        // Those who wait hold their limits, so that all of these are here.
        self.iter().for_each(|limit| limit.limiter.signal());
    }

    fn all(&self) -> (Sums, Vec<Arc<KeyedRateLimit>>) {
        self.store.get().map_or_else(Default::default, |store| store.limits.all())
    }

    #[inline]
    fn kept(&self) -> &Store {
        self.store.get_or_init(|| {
            let rules = RateLimitSettings::new(self.name, self.declared);
            Box::new(Store { rules: Arc::new(rules), limits: keyed::Store::new() })
        })
    }
}

impl KeyedRateLimit {
    /// The name it was declared with; all keys have the same.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.rules.rules.name
    }

    /// The text of its key; empty for the [overflow](Self::is_overflow), which has no key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.limiter.key.as_ref().and_then(Key::text).map_or("", |key| key)
    }

    /// True for the limit that all keys share that have none of their own: the [`KeyedRateLimits::overflow`].
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.limiter.key.as_ref().is_some_and(Key::is_overflow)
    }

    fn rejections(&self) -> u64 {
        self.limiter.totals.sums().get(Count::Rejection)
    }

    fn is_reached(&self) -> bool {
        let (in_window, waiting) = self.limiter.load(self.rules());
        self.config().is_some_and(|config| in_window + waiting >= config.limit as usize)
    }
}

impl KeyedEntry for KeyedRateLimit {
    fn key(&self) -> &str {
        self.key()
    }

    fn used(&self) -> &AtomicBool {
        &self.rules.used
    }

    fn standing(&self) -> EvictionClass {
        match self.limiter.load(self.rules()) {
            (0, 0) => EvictionClass::Idle,
            _ => EvictionClass::Stays,
        }
    }

    fn sums(&self) -> Sums {
        self.limiter.totals.sums()
    }
}

impl Borrow<RateLimitSettings> for KeyedRateLimitSettings {
    fn borrow(&self) -> &RateLimitSettings {
        &self.rules
    }
}

/// As their [`snapshot`](KeyedRateLimits::snapshot).
impl Display for KeyedRateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
