//! A breaker's name and settings, which can be changed while it is in use.

use std::{
    hint, process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use once_cell::sync::Lazy;

use super::{
    config::{BreakerConfig, Encoded},
    rules::Rules,
};

/// A breaker's name and the settings in force.
///
/// What [`CircuitBreaker`](crate::CircuitBreaker) is generic over: a breaker has its own, or shares them with those of other
/// keys.
//
// Readers take no lock: they read all numbers, and again if somebody wrote in the meantime (a sequence lock; see Boehm,
// Can seqlocks get along with programming language memory models?, 2012).
#[derive(Debug)]
pub struct Settings {
    pub(crate) name: &'static str,
    /// Odd while somebody writes.
    version: AtomicU64,
    words: [AtomicU64; WORDS],
    writing: Mutex<()>,
}

const WORDS: usize = size_of::<Encoded>() / size_of::<u64>();

impl Settings {
    pub(crate) const fn new(name: &'static str, config: BreakerConfig) -> Self {
        let encoded = config.encode();
        let mut words = [const { AtomicU64::new(0) }; WORDS];
        let mut index = 0;
        while index < WORDS {
            words[index] = AtomicU64::new(encoded[index]);
            index += 1;
        }
        Self { name, version: AtomicU64::new(0), words, writing: Mutex::new(()) }
    }

    pub(crate) fn config(&self) -> BreakerConfig {
        loop {
            // ORDERING: Acquire pairs with the Release at the end of `replace`: what was written before an even version is
            // seen. The fence keeps the second look behind the words: if one of them is of a later write, so is the version.
            let version = self.version.load(Ordering::Acquire);
            let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return BreakerConfig::decode(words);
            }
            hint::spin_loop();
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        self.config().rules(*SEED)
    }

    pub(crate) fn replace(&self, config: BreakerConfig) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // ORDERING: Relaxed, since only the holder of the lock writes. The fence keeps the words behind the odd version.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(config.encode()) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

/// Another number in every process of a fleet.
static SEED: Lazy<u64> = Lazy::new(|| crate::random::up_to(u64::MAX) ^ u64::from(process::id()));
