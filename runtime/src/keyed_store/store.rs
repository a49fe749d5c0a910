#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use std::sync::{Mutex, PoisonError};
use std::{fmt::Display, sync::Arc};

use once_cell::race::OnceBox;

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use super::ranking::SeriesQuota;
use super::{
    bounded_map::BoundedMap,
    entry::{KeyedEntry, SharedSettings},
    text::Text,
};
#[cfg(feature = "config")]
use crate::layers::ExternalOptions;
use crate::{
    ConfigChange,
    keying::KeyedSettings,
    layers::{Layered, Setting, SettingSource},
    totals::Sums,
};

/// The instances of one name, one per key, and the settings that they share. Nothing is allocated before the first key.
#[derive(Debug)]
pub(crate) struct KeyedStore<V: KeyedEntry> {
    pub(crate) name: &'static str,
    pub(crate) declared: Config<V>,
    pub(crate) max_keys: usize,
    created: OnceBox<Created<V>>,
}

#[derive(Debug)]
struct Created<V: KeyedEntry> {
    settings: Arc<V::Settings>,
    entries: BoundedMap<V>,
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    series: Mutex<SeriesQuota>,
}

type Config<V> = <<V as KeyedEntry>::Settings as SharedSettings>::Config;

/// A reading of the instances of one name.
pub(crate) struct StoreTotals<V> {
    /// The number of keys that have an instance.
    pub(crate) keys: usize,
    /// The totals of all keys since the start of the program, including evicted keys and the overflow instance.
    pub(crate) sums: Sums,
    /// The instances of all keys, and the overflow instance, if there is one.
    pub(crate) entries: Vec<Arc<V>>,
}

impl<V: KeyedEntry> KeyedStore<V> {
    /// The default maximum number of keys.
    pub(crate) const DEFAULT_MAX_KEYS: usize = 10_000;

    pub(crate) const fn new(name: &'static str, declared: Config<V>) -> Self {
        Self { name, declared, max_keys: Self::DEFAULT_MAX_KEYS, created: OnceBox::new() }
    }

    /// Returns the instance of a key, and creates it if there is none. Returns the overflow instance if there is no room for another key.
    ///
    /// If the `Display` of the key panics, the store is unchanged.
    #[inline]
    pub(crate) fn get_or_insert<K: Display + ?Sized>(&self, key: &K) -> Arc<V> {
        self.find_or_insert(key, Arc::clone, |inserted| inserted)
    }

    /// Returns `None` if `try_use` returns true for the instance of a key, and otherwise the instance, as
    /// [`get_or_insert`](Self::get_or_insert) does. A new instance is not tried.
    ///
    /// `try_use` runs under a lock of the store: it must not wait, and must not call code of a user. A call that it admits takes 5 ns of 65
    /// less than one with a handle to the instance.
    #[inline]
    pub(crate) fn try_use<K: Display + ?Sized>(&self, key: &K, try_use: impl FnOnce(&V) -> bool) -> Option<Arc<V>> {
        self.find_or_insert(key, |found| if try_use(found) { None } else { Some(found.clone()) }, Some)
    }

    #[inline]
    fn find_or_insert<K: Display + ?Sized, T>(
        &self,
        key: &K,
        read: impl FnOnce(&Arc<V>) -> T,
        inserted: impl FnOnce(Arc<V>) -> T,
    ) -> T {
        let mut text = Text::new();
        let (text, created) = (text.append(key), self.created());
        created.entries.find_and_mark(text, read).unwrap_or_else(|| inserted(self.insert(text, created)))
    }

    #[cold]
    fn insert(&self, key: &Text, created: &Created<V>) -> Arc<V> {
        created.entries.insert(
            key,
            self.max_keys,
            |key, overflow| V::create(KeyedSettings::new(created.settings.clone()), key, overflow),
            || V::emit_overflow(self.name, self.max_keys),
        )
    }

    /// Returns the instance of a key, if there is one. It is not marked as used.
    pub(crate) fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<V>> {
        self.created.get()?.entries.get(Text::new().append(key))
    }

    /// Returns the overflow instance, which exists once there was no room for a key.
    pub(crate) fn overflow(&self) -> Option<Arc<V>> {
        self.created.get()?.entries.overflow()
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.created.get().map_or(0, |created| created.entries.len())
    }

    /// Returns the instances of all keys, and the overflow instance last, if there is one. No instance is evicted while the result exists.
    pub(crate) fn entries(&self) -> Vec<Arc<V>> {
        let (_, entries, _) = self.read();
        entries
    }

    /// Reads all instances and adds up their totals.
    pub(crate) fn survey(&self) -> StoreTotals<V> {
        let (evicted, entries, keys) = self.read();
        let sums = entries.iter().fold(evicted, |sums, entry| sums.plus(entry.sums()));
        StoreTotals { keys, sums, entries }
    }

    /// Returns the totals of the evicted keys, the instances as in [`entries`](Self::entries), and the number of keys.
    fn read(&self) -> (Sums, Vec<Arc<V>>, usize) {
        let Some(created) = self.created.get() else { return Default::default() };
        let (evicted, mut entries) = created.entries.all();
        let keys = entries.len();
        entries.extend(created.entries.overflow());
        (evicted, entries, keys)
    }

    /// The shared settings; `None` before the first key.
    pub(crate) fn shared_settings(&self) -> Option<&V::Settings> {
        self.created.get().map(|created| &*created.settings)
    }

    /// Returns the settings in force.
    pub(crate) fn config(&self) -> Config<V> {
        self.created.get().map_or(self.declared, |created| created.settings.config())
    }

    /// Returns the options in force, each with the place from which its value is, and the maximum number of keys.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let declared = || Layered::new(self.declared).settings();
        let mut settings = self.shared_settings().map_or_else(declared, SharedSettings::settings);
        if !settings.is_empty() {
            let max_keys = self.max_keys.to_string();
            settings.push(Setting { option: "max_keys", value: max_keys, source: SettingSource::Code });
        }
        settings
    }

    /// Replaces the live layer of the settings, or removes it with `None`, and makes all instances adopt the settings in force. Returns the
    /// change, for which the caller must emit an event.
    pub(crate) fn set_live(&self, live: Option<Config<V>>) -> Option<ConfigChange> {
        let change = self.created().settings.update(|layers| layers.set_live(live));
        self.apply_settings();
        change
    }

    /// Replaces the settings from a file and the environment, which set these `options`. The caller must then call [`apply_settings`](Self::apply_settings).
    #[cfg(feature = "config")]
    pub(crate) fn set_external(&self, external: Option<Config<V>>, options: ExternalOptions) -> Option<ConfigChange> {
        if external.is_none() && self.created.get().is_none() {
            return None;
        }
        self.created().settings.update(|layers| layers.set_external(external, options))
    }

    /// Makes all instances adopt the settings in force.
    pub(crate) fn apply_settings(&self) {
        // Calls in flight and waiters hold a handle to their instance, so that it was not evicted and is among the entries.
        self.entries().iter().for_each(|entry| entry.apply_settings());
    }

    /// Selects from `candidates` the instances that get metric series of their own: at most `limit`, by descending `rank`, and in addition
    /// the overflow instance if it is a candidate.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn with_series<R: Ord>(
        &self,
        candidates: Vec<Arc<V>>,
        limit: usize,
        rank: impl Fn(&V) -> R,
    ) -> Vec<Arc<V>> {
        let Some(created) = self.created.get() else { return Vec::new() };
        let overflow = created.entries.overflow().filter(|_| limit > 0);
        let mut series = created.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.select(candidates, overflow, limit, rank)
    }

    #[inline]
    fn created(&self) -> &Created<V> {
        self.created.get_or_init(|| {
            Box::new(Created {
                settings: Arc::new(V::Settings::new(self.name, self.declared)),
                entries: BoundedMap::new(),
                #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
                series: Mutex::default(),
            })
        })
    }
}
