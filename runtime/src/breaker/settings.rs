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
    rules::{Policy, Rates, Rules, Span},
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
    /// What a success needs to know where all that it does is to be counted in a window, in one number: see
    /// [`Self::span_alone`].
    span: AtomicU64,
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
        let span = AtomicU64::new(span_of(&config));
        Self { name, version: AtomicU64::new(0), words, span, writing: Mutex::new(()) }
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

    /// What the window holds, if there is one and no call is slow: all that a success has to know.
    #[inline]
    pub(crate) fn span_alone(&self) -> Option<Span> {
        // ORDERING: Relaxed: one number that stands alone. A call that ends while the settings change may go by either.
        let span = self.span.load(Ordering::Relaxed);
        match span & ((1 << KIND_BITS) - 1) {
            CALLS => Some(Span::Calls(u32::try_from(span >> KIND_BITS).unwrap_or(u32::MAX))),
            TIME => Some(Span::Time(span >> KIND_BITS)),
            _ => None,
        }
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
        self.span.store(span_of(&config), Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

// A span as one number: which of the two, and the number of calls or microseconds above it.
const CALLS: u64 = 1;
const TIME: u64 = 2;
const KIND_BITS: u32 = 2;

const fn span_of(config: &BreakerConfig) -> u64 {
    match config.rules(0).policy {
        Policy::Rates(Rates { span: Span::Calls(calls), slow_call: None, .. }) => (calls as u64) << KIND_BITS | CALLS,
        Policy::Rates(Rates { span: Span::Time(time), slow_call: None, .. }) => {
            let most = u64::MAX >> KIND_BITS;
            (if time < most { time } else { most }) << KIND_BITS | TIME
        }
        _ => 0,
    }
}

/// Another number in every process of a fleet.
static SEED: Lazy<u64> = Lazy::new(|| crate::random::up_to(u64::MAX) ^ u64::from(process::id()));
