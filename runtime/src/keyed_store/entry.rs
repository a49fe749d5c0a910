use std::fmt::Debug;

use super::{eviction::EvictionClass, key::Key};
use crate::{ConfigChange, keying::KeyedSettings, layers::Layered, totals::Sums};

/// An instance that belongs to one key.
pub(crate) trait KeyedEntry: Debug {
    /// The settings that the instances of all keys share.
    type Settings: SharedSettings;

    /// Creates the instance of `key`. `overflow` is the overflow instance, if there is one: the key may have been used through it.
    fn create(settings: KeyedSettings<Self::Settings>, key: Key, overflow: Option<&Self>) -> Self;

    fn settings(&self) -> &KeyedSettings<Self::Settings>;

    fn key(&self) -> Option<&Key>;

    /// Returns the text of the key; empty for the overflow instance, which has none.
    fn key_text(&self) -> &str {
        self.key().and_then(Key::text).map_or("", |key| key)
    }

    /// Returns what an eviction would lose, judged without the reference bit and on the condition that the map holds the only handle.
    fn eviction_class(&self) -> EvictionClass;

    /// Returns the totals of its calls.
    fn sums(&self) -> Sums;

    /// Adopts the settings in force.
    fn apply_settings(&self);

    /// Emits the event that a new key has found no room. The caller holds no lock.
    fn emit_overflow(name: &'static str, max_keys: usize);
}

/// Layered settings that the instances of all keys share.
pub(crate) trait SharedSettings: Debug {
    type Config: Copy + Debug;

    fn new(name: &'static str, declared: Self::Config) -> Self;

    /// Returns the settings in force.
    fn config(&self) -> Self::Config;

    /// Changes a layer. Returns the change if the settings in force are different now; the instances have yet to adopt them.
    fn update(&self, layer: impl FnOnce(&mut Layered<Self::Config>)) -> Option<ConfigChange>;
}
