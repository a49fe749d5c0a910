use std::fmt::Debug;

use super::{eviction::EvictionClass, key::Key};
use crate::{
    ConfigChange,
    keying::KeyedSettings,
    layers::{ConfigOptions, Layered, Setting},
    totals::Sums,
};

/// An instance that belongs to one key.
pub(crate) trait KeyedEntry: Debug {
    /// The settings that the instances of all keys share.
    type Settings: SharedSettings;

    /// Creates the instance of `key`. `overflow` is the overflow instance, if there is one: earlier calls of the key may have used it.
    fn create(settings: KeyedSettings<Self::Settings>, key: Key, overflow: Option<&Self>) -> Self;

    fn keyed_settings(&self) -> &KeyedSettings<Self::Settings>;

    fn key(&self) -> Option<&Key>;

    /// Returns the text of the key; empty for the overflow instance, which has none.
    fn key_text(&self) -> &str {
        self.key().and_then(Key::text).map_or("", |key| key)
    }

    /// Returns the loss that an eviction would cause. Does not take into account the reference bit and the handles of callers.
    fn eviction_class(&self) -> EvictionClass;

    /// Returns the totals of the calls through this instance.
    fn sums(&self) -> Sums;

    /// Adopts the settings in force.
    fn apply_settings(&self);

    /// Emits the event for a new key that shares the overflow instance, because the store is full. The caller must not hold a lock.
    fn emit_overflow(name: &'static str, max_keys: usize);
}

/// Layered settings that the instances of all keys share.
pub(crate) trait SharedSettings: Debug {
    type Config: Copy + Debug + ConfigOptions;

    fn new(name: &'static str, declared: Self::Config) -> Self;

    /// Returns the settings in force.
    fn config(&self) -> Self::Config;

    /// Returns the options in force, each with the place from which its value is.
    fn settings(&self) -> Vec<Setting>;

    /// Changes a layer. Returns the change of the settings in force, if there is one. The instances adopt it only in
    /// [`KeyedEntry::apply_settings`].
    fn update(&self, layer: impl FnOnce(&mut Layered<Self::Config>)) -> Option<ConfigChange>;
}
