//! A breaker's name and settings, which can be changed while it is in use.

mod published;

use std::{
    hint, process,
    sync::{self, Mutex, atomic::AtomicU64},
};

use once_cell::sync::Lazy;

use self::published::Published;
use super::{
    config::BreakerConfig,
    parameters::{Encoded, Parameters, SPAN, Span},
};
use crate::layers::Layered;

/// A breaker's name and the settings in force.
#[derive(Debug)]
pub(crate) struct BreakerSettings {
    pub(crate) name: &'static str,
    /// The layers; the rules that the config in force amounts to, and behind them what [`Parameters::fixed_open_micros`] says.
    published: Published<Layered<BreakerConfig>, { WORDS + 2 }>,
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
        Self { name, published: Published::of(layers, AtomicU64::new(0), words) }
    }

    /// The settings that the code declares, whatever was set since.
    pub(crate) fn declared(&self) -> BreakerConfig {
        self.published.value().declared()
    }

    pub(crate) fn config(&self) -> BreakerConfig {
        self.published.value().in_force()
    }

    pub(crate) fn rules(&self) -> Parameters {
        Parameters::decode(self.published.words(), || *SEED)
    }

    /// What the window holds, if there is one and no call is slow: all that a success has to know.
    #[inline]
    pub(crate) fn window_without_slow_calls(&self) -> Option<Span> {
        // A call that ends while the settings change may go by either.
        Span::alone(self.published.word(SPAN))
    }

    /// How long an open circuit rests, first or after a failed recovery, where that is all that a rejection has to know; or else
    /// nothing.
    #[inline]
    pub(crate) fn fixed_open_duration(&self, failed: bool) -> u64 {
        self.published.word(WORDS + usize::from(failed))
    }

    /// Changes a layer. Gives the settings in force if they have changed by it; the breakers have yet to adopt them.
    pub(crate) fn change(&self, layer: impl FnOnce(&mut Layered<BreakerConfig>)) -> Option<BreakerConfig> {
        let mut changed = None;
        self.published.change(|layers| {
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
    let rules = config.rules(0);
    let encoded = rules.encode();
    let mut words = [0; WORDS + 2];
    let mut index = 0;
    while index < WORDS {
        words[index] = encoded[index];
        index += 1;
    }
    [words[WORDS], words[WORDS + 1]] = rules.fixed_open_micros();
    words
}

/// Another number in every process of a fleet.
static SEED: Lazy<u64> = Lazy::new(|| crate::random::up_to(u64::MAX) ^ u64::from(process::id()));
