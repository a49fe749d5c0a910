//! The name and settings of a breaker. The settings can change while the breaker is in use.

mod seq_lock;

use std::{
    hint, process,
    sync::{self, Mutex, atomic::AtomicU64},
};

use once_cell::sync::Lazy;

use self::seq_lock::SeqLock;
use super::{
    config::BreakerConfig,
    parameters::{Encoded, Parameters, SLOW_CALL_WORD, TIMING_WORD, Timing, WINDOW_WORD, WindowSize},
};
use crate::{
    Durations,
    durations::DurationCells,
    layers::{Layered, Setting},
};

/// The name of a breaker and its settings in force.
///
/// [`CircuitBreaker`](crate::CircuitBreaker) is generic over the storage of its settings: a breaker without a key has its own, and keyed
/// breakers share theirs.
#[derive(Debug)]
pub(crate) struct BreakerSettings {
    pub(crate) name: &'static str,
    /// The layers of settings. The words are the encoded [`Parameters`] of the settings in force, followed by
    /// [`Parameters::fixed_open_micros`].
    layers: SeqLock<Layered<BreakerConfig>, { WORDS + 2 }>,
    /// The durations of the calls of all keys.
    pub(crate) durations: DurationCells,
}

const WORDS: usize = size_of::<Encoded>() / size_of::<u64>();

impl BreakerSettings {
    pub(crate) const fn new(name: &'static str, config: BreakerConfig) -> Self {
        let values = words(&config);
        let mut words = [const { AtomicU64::new(0) }; WORDS + 2];
        let mut index = 0;
        while index < values.len() {
            words[index] = AtomicU64::new(values[index]);
            index += 1;
        }
        let layers = Mutex::new(Layered::new(config));
        let layers = SeqLock::from_parts(layers, AtomicU64::new(0), words);
        Self { name, layers, durations: DurationCells::new() }
    }

    /// The durations of calls; `None` if they are not recorded.
    pub(crate) fn durations(&self) -> Option<Durations> {
        self.timing().is_recorded.then(|| self.durations.durations())
    }

    /// The settings that the code declares, without later changes.
    pub(crate) fn declared(&self) -> BreakerConfig {
        self.layers.get().declared()
    }

    pub(crate) fn config(&self) -> BreakerConfig {
        self.layers.get().in_force()
    }

    /// The options in force, each with the place from which its value is.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        self.layers.get().settings()
    }

    pub(crate) fn parameters(&self) -> Parameters {
        Parameters::decode(self.layers.words(), || *SEED)
    }

    /// The size of the window if there is one and a call of this age is not slow: its success then needs no other parameter.
    #[inline]
    pub(crate) fn window_of_fast_call(&self, age: Option<u64>) -> Option<WindowSize> {
        // While the settings change, a call that ends may use old or new values.
        WindowSize::of_fast_call(self.layers.word(WINDOW_WORD), age, || self.layers.word(SLOW_CALL_WORD))
    }

    /// The measurements of each call.
    #[inline]
    pub(crate) fn timing(&self) -> Timing {
        Timing::decode(self.layers.word(TIMING_WORD))
    }

    /// The open duration in microseconds, after a failed recovery if `failed`, for the fast path of rejections: see
    /// [`Parameters::fixed_open_micros`]. 0 if a rejection needs all parameters.
    #[inline]
    pub(crate) fn fixed_open_duration(&self, failed: bool) -> u64 {
        self.layers.word(WORDS + usize::from(failed))
    }

    /// Changes a layer. Returns the settings in force if they have changed; the caller then applies them to the breakers.
    pub(crate) fn change(&self, layer: impl FnOnce(&mut Layered<BreakerConfig>)) -> Option<BreakerConfig> {
        let mut changed = None;
        self.layers.update(|layers| {
            let before = layers.in_force();
            layer(layers);
            let config = layers.in_force();
            changed = (config != before).then_some(config);
            changed.as_ref().map(words)
        });
        changed
    }
}

const fn words(config: &BreakerConfig) -> [u64; WORDS + 2] {
    let parameters = config.parameters(0);
    let encoded = parameters.encode();
    let mut words = [0; WORDS + 2];
    let mut index = 0;
    while index < WORDS {
        words[index] = encoded[index];
        index += 1;
    }
    [words[WORDS], words[WORDS + 1]] = parameters.fixed_open_micros();
    words
}

/// The seed of the recovery jitter, which differs between the processes of a fleet.
static SEED: Lazy<u64> = Lazy::new(|| crate::random::up_to(u64::MAX) ^ u64::from(process::id()));
