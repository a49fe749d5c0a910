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
    rules::{Encoded, Rules, SPAN, Span},
};
use crate::layers::Layered;

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
    /// What [`Rules::plain_rests`] says.
    plain_rests: [AtomicU64; 2],
    /// A writer holds the lock until the words are those of the settings in force.
    layers: Mutex<Layered<BreakerConfig>>,
}

const WORDS: usize = size_of::<Encoded>() / size_of::<u64>();

impl Settings {
    pub(crate) const fn new(name: &'static str, config: BreakerConfig) -> Self {
        let rules = config.rules(0);
        let (encoded, [first, later]) = (rules.encode(), rules.plain_rests());
        let mut words = [const { AtomicU64::new(0) }; WORDS];
        let mut index = 0;
        while index < WORDS {
            words[index] = AtomicU64::new(encoded[index]);
            index += 1;
        }
        let plain_rests = [AtomicU64::new(first), AtomicU64::new(later)];
        Self { name, version: AtomicU64::new(0), words, plain_rests, layers: Mutex::new(Layered::new(config)) }
    }

    /// The settings that the code declares, whatever was set since.
    pub(crate) fn declared(&self) -> BreakerConfig {
        self.lock().declared()
    }

    pub(crate) fn config(&self) -> BreakerConfig {
        self.lock().in_force()
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

    /// How long an open circuit rests, first or after a failed recovery, where that is all that a rejection has to know; or else
    /// nothing.
    #[inline]
    pub(crate) fn plain_rest(&self, failed: bool) -> u64 {
        // ORDERING: Relaxed, as above.
        self.plain_rests[usize::from(failed)].load(Ordering::Relaxed)
    }

    /// Changes a layer. Gives the settings in force if they have changed by it; the breakers have yet to adopt them.
    pub(crate) fn change(&self, layer: impl FnOnce(&mut Layered<BreakerConfig>)) -> Option<BreakerConfig> {
        let mut layers = self.lock();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        if config == before {
            return None;
        }
        // ORDERING: Relaxed, since only the holder of the lock writes. The fence keeps the words behind the odd version.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let rules = config.rules(0);
        let values = rules.encode().into_iter().chain(rules.plain_rests());
        for (word, value) in self.words.iter().chain(&self.plain_rests).zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
        Some(config)
    }

    fn lock(&self) -> MutexGuard<'_, Layered<BreakerConfig>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another number in every process of a fleet.
static SEED: Lazy<u64> = Lazy::new(|| crate::random::up_to(u64::MAX) ^ u64::from(process::id()));
