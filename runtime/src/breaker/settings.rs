//! A breaker's name and settings, which can be changed while it is in use.

use std::{
    hint, process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use once_cell::sync::Lazy;

use super::{
    config::BreakerConfig,
    rules::{BASE, Encoded, JITTER, Recovery, Rules, SMALL, SPAN, Span},
};

/// A breaker's name and the settings in force.
///
/// What [`CircuitBreaker`](crate::CircuitBreaker) is generic over: a breaker has its own, or shares them with those of other
/// keys.
//
// Calls take no lock: they read all numbers, and again if somebody wrote in the meantime (a sequence lock; see Boehm,
// Can seqlocks get along with programming language memory models?, 2012).
#[derive(Debug)]
pub struct Settings {
    pub(crate) name: &'static str,
    /// Odd while somebody writes.
    version: AtomicU64,
    /// The rules that the config amounts to.
    words: [AtomicU64; WORDS],
    /// Who replaces it holds the lock until the words are those of the new one.
    config: Mutex<BreakerConfig>,
}

const WORDS: usize = size_of::<Encoded>() / size_of::<u64>();

impl Settings {
    pub(crate) const fn new(name: &'static str, config: BreakerConfig) -> Self {
        let encoded = config.rules(0).encode();
        let mut words = [const { AtomicU64::new(0) }; WORDS];
        let mut index = 0;
        while index < WORDS {
            words[index] = AtomicU64::new(encoded[index]);
            index += 1;
        }
        Self { name, version: AtomicU64::new(0), words, config: Mutex::new(config) }
    }

    pub(crate) fn config(&self) -> BreakerConfig {
        *self.lock()
    }

    pub(crate) fn rules(&self) -> Rules {
        loop {
            // ORDERING: Acquire pairs with the Release at the end of `replace`: what was written before an even version is
            // seen. The fence keeps the second look behind the words: if one of them is of a later write, so is the version.
            let version = self.version.load(Ordering::Acquire);
            let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return Rules::decode(words, || *SEED);
            }
            hint::spin_loop();
        }
    }

    /// What the window holds, if there is one and no call is slow: all that a success has to know.
    #[inline]
    pub(crate) fn span_alone(&self) -> Option<Span> {
        // ORDERING: Relaxed: one number that stands alone. A call that ends while the settings change may go by either.
        Span::alone(self.words[SPAN].load(Ordering::Relaxed))
    }

    /// The first rest, if nothing about it is random and calls are rejected meanwhile: all that a rejection has to know.
    #[inline]
    pub(crate) fn rest_alone(&self) -> Option<u64> {
        // ORDERING: Relaxed: while the settings change, a call may go by the old numbers, the new, or some of each. All say how long
        // an open circuit rests that was or is configured so.
        let [small, base, jitter] = [SMALL, BASE, JITTER].map(|index| self.words[index].load(Ordering::Relaxed));
        Recovery::alone(small, base, jitter)
    }

    pub(crate) fn replace(&self, config: BreakerConfig) {
        let mut current = self.lock();
        *current = config;
        // ORDERING: Relaxed, since only the holder of the lock writes. The fence keeps the words behind the odd version.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(config.rules(0).encode()) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, BreakerConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another number in every process of a fleet.
static SEED: Lazy<u64> = Lazy::new(|| crate::random::up_to(u64::MAX) ^ u64::from(process::id()));
