//! Keyed breakers, with a thousand and with a million keys.

use std::{
    collections::HashMap,
    hint::black_box,
    num::NonZeroU32,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use steadfast::{BreakerConfig, CircuitBreaker, KeyedBreakers};

use crate::{
    contestant::{
        Contestant,
        Role::{Baseline, Ours, Peer},
    },
    work::{Error, add},
};

const FEW: usize = 1_000;
/// The length of a key in bytes.
const LENGTH: usize = "host-0000000.example.org".len();

/// All implementations with few and with many keys, and the order in which the keys are used.
pub struct Keyed {
    few: Implementations,
    /// Created when it is used: a run under valgrind uses only `few`.
    many: LazyLock<Implementations>,
    /// The keys of `few`, in order. They are in one text, since the key of a caller is usually in the cache.
    in_order: String,
    /// All keys, in an order that defeats prefetching.
    spread: LazyLock<String>,
    /// As much memory as a million breakers take, for a chain of dependent misses.
    chain: LazyLock<Vec<Link>>,
}

/// A link of the chain, as large as a breaker. It begins with the index of the next link.
type Link = [usize; 32];
/// Two numbers that have no common factor with [`MANY`], so that their multiples are permutations that defeat prefetching.
const SPREAD: usize = 7_368_787;
const NEXT: usize = 3_141_593;
/// The number of dependent misses for each call.
const MISSES: usize = 3;

/// The implementations, each with the same keys.
struct Implementations {
    ours: KeyedBreakers,
    by_hand: Mutex<HashMap<String, Arc<CircuitBreaker>>>,
    governor: DefaultKeyedRateLimiter<String>,
}

impl Keyed {
    /// steadfast with a thousand keys.
    pub const FEW: &str = "steadfast, 1,000 keys";
    /// steadfast with a million keys, of which a thousand are in use.
    pub const SOME: &str = "steadfast, 1,000 of 1,000,000 keys";
    /// steadfast with a million keys, all in use.
    pub const ALL: &str = "steadfast, all of 1,000,000 keys";
    /// The same by hand.
    pub const ALL_BY_HAND: &str = "by hand, all of 1,000,000 keys";
    /// The memory alone.
    pub const CHAIN: &str = "3 dependent misses";

    /// Creates the breakers.
    #[must_use]
    pub fn new() -> Self {
        let few: Vec<_> = keys(FEW).collect();
        Self {
            few: Implementations::new(&few),
            many: LazyLock::new(|| Implementations::new(&keys(MANY).collect::<Vec<_>>())),
            in_order: few.concat(),
            spread: LazyLock::new(|| {
                let keys: Vec<_> = keys(MANY).collect();
                (0..MANY).map(|index| keys[index * SPREAD % MANY].as_str()).collect()
            }),
            chain: LazyLock::new(|| (0..MANY).map(|index| [index * NEXT % MANY; _]).collect()),
        }
    }

    #[inline(never)]
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of a small number")]
    fn misses(&self, number: u64) -> Result<u64, Error> {
        let first = (number % MANY as u64) as usize * SPREAD % MANY;
        black_box((0..MISSES).fold(first, |index, _| self.chain[index][0]));
        add(number)
    }

    /// Returns the contestants with a thousand keys.
    #[must_use]
    pub fn contestants_with_few(&'static self) -> [Contestant; 3] {
        let few = |number: u64| key::<FEW>(&self.in_order, number);
        [
            Contestant::new(Ours, Self::FEW, OURS, move |number| self.few.ours(few(number), number)),
            Contestant::new(Peer, "by hand, 1,000 keys", BY_HAND, move |number| self.few.by_hand(few(number), number)),
            Contestant::new(Peer, "governor, 1,000 keys", GOVERNOR, move |number| {
                self.few.governor(few(number), number)
            }),
        ]
    }

    /// Returns all contestants.
    #[must_use]
    pub fn contestants(&'static self) -> Vec<Contestant> {
        let some = |number: u64| key::<FEW>(&self.spread, number);
        let all = |number: u64| key::<MANY>(&self.spread, number);
        let with_many = [
            Contestant::new(Ours, Self::SOME, OURS, move |number| self.many.ours(some(number), number)),
            Contestant::new(Peer, "by hand, 1,000 of 1,000,000 keys", BY_HAND, move |number| {
                self.many.by_hand(some(number), number)
            }),
            Contestant::new(Peer, "governor, 1,000 of 1,000,000 keys", GOVERNOR, move |number| {
                self.many.governor(some(number), number)
            }),
            Contestant::new(Ours, Self::ALL, OURS, move |number| self.many.ours(all(number), number)),
            Contestant::new(Peer, Self::ALL_BY_HAND, BY_HAND, move |number| self.many.by_hand(all(number), number)),
            Contestant::new(Peer, "governor, all of 1,000,000 keys", GOVERNOR, move |number| {
                self.many.governor(all(number), number)
            }),
            Contestant::new(
                Baseline,
                Self::CHAIN,
                "a chain of indices through a million links of 256 bytes",
                |number| self.misses(number),
            ),
        ];
        self.contestants_with_few().into_iter().chain(with_many).collect()
    }
}

const OURS: &str = "max_keys = the number of keys, failure_threshold = 5";
const BY_HAND: &str = "Mutex<HashMap<String, Arc<CircuitBreaker>>> of steadfast's breakers: unbounded, no eviction";
const GOVERNOR: &str = "dashmap, u32::MAX per second: a rate limiter by key, no breaker";

impl Implementations {
    fn new(keys: &[String]) -> Self {
        let breaker = || Arc::new(CircuitBreaker::new("by hand", BreakerConfig::new()));
        let governor = RateLimiter::keyed(Quota::per_second(NonZeroU32::MAX));
        for key in keys {
            // The result is irrelevant: the call only inserts the key.
            _ = governor.check_key(key);
        }
        Self {
            ours: filled(keys, BreakerConfig::new()),
            by_hand: Mutex::new(keys.iter().map(|key| (key.clone(), breaker())).collect()),
            governor,
        }
    }

    #[inline(never)]
    fn ours(&self, key: &str, number: u64) -> Result<u64, Error> {
        self.ours.breaker(key).call(|| add(number))
    }

    #[inline(never)]
    fn by_hand(&self, key: &str, number: u64) -> Result<u64, Error> {
        let found = self.by_hand.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        found.ok_or(Error::Rejected)?.call(|| add(number))
    }

    #[inline(never)]
    fn governor(&self, key: &str, number: u64) -> Result<u64, Error> {
        // `check_key` takes a `&String`, which a caller with a `&str` has to allocate.
        self.governor.check_key(&key.to_owned()).map_err(|_| Error::Rejected)?;
        add(number)
    }
}

/// The largest number of keys.
pub const MANY: usize = 1_000_000;

/// Returns the first `count` keys.
pub fn keys(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|key| format!("host-{key:07}.example.org"))
}

/// Returns breakers for these keys.
#[must_use]
pub fn filled(keys: &[String], config: BreakerConfig) -> KeyedBreakers {
    let breakers = KeyedBreakers::new("measured", config).max_keys(keys.len());
    for key in keys {
        breakers.breaker(key);
    }
    breakers
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a remainder of a small number")]
fn key<const KEYS: usize>(texts: &str, number: u64) -> &str {
    let start = (number % KEYS as u64) as usize * LENGTH;
    &texts[start..start + LENGTH]
}

impl Default for Keyed {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").finish_non_exhaustive()
    }
}
