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
use crate::{ConfigChange, keying::KeyedSettings, totals::Sums};

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

/// A reading of all instances of one name.
pub(crate) struct Survey<V> {
    /// The number of keys that have an instance.
    pub(crate) keys: usize,
    /// The totals of all keys since the start of the program, of evicted ones and of the overflow instance too.
    pub(crate) sums: Sums,
    /// The instances of all keys, and the overflow instance, if there is one.
    pub(crate) entries: Vec<Arc<V>>,
}

impl<V: KeyedEntry> KeyedStore<V> {
    /// The largest number of keys by default.
    pub(crate) const DEFAULT_MAX_KEYS: usize = 10_000;

    pub(crate) const fn new(name: &'static str, declared: Config<V>) -> Self {
        Self { name, declared, max_keys: Self::DEFAULT_MAX_KEYS, created: OnceBox::new() }
    }

    /// Returns the instance of a key, and creates it if there is none; the overflow instance if there is no room for another key.
    ///
    /// A `Display` that panics does so before anything has changed.
    #[inline]
    pub(crate) fn get_or_insert<K: Display + ?Sized>(&self, key: &K) -> Arc<V> {
        let mut text = Text::new();
        let text = text.with(key);
        let Created { settings, entries, .. } = self.created();
        let (name, max_keys) = (self.name, self.max_keys);
        entries.get_or_insert(
            text,
            max_keys,
            |key, overflow| V::create(KeyedSettings::new(settings.clone()), key, overflow),
            || V::emit_overflow(name, max_keys),
        )
    }

    /// Returns the instance of a key, if there is one. It is not marked as used.
    pub(crate) fn get<K: Display + ?Sized>(&self, key: &K) -> Option<Arc<V>> {
        self.created.get()?.entries.get(Text::new().with(key))
    }

    /// Returns the overflow instance, if a key has ever found no room.
    pub(crate) fn overflow(&self) -> Option<Arc<V>> {
        self.created.get()?.entries.overflow()
    }

    pub(crate) fn len(&self) -> usize {
        self.created.get().map_or(0, |created| created.entries.len())
    }

    /// Returns the instances of all keys, and the overflow instance last, if there is one. None of them is evicted while the result holds it.
    pub(crate) fn entries(&self) -> Vec<Arc<V>> {
        let (_, entries, _) = self.read();
        entries
    }

    /// Reads all instances and adds up their totals.
    pub(crate) fn survey(&self) -> Survey<V> {
        let (evicted, entries, keys) = self.read();
        let sums = entries.iter().fold(evicted, |sums, entry| sums.plus(entry.sums()));
        Survey { keys, sums, entries }
    }

    fn read(&self) -> (Sums, Vec<Arc<V>>, usize) {
        let Some(created) = self.created.get() else { return Default::default() };
        let (evicted, mut entries) = created.entries.all();
        let keys = entries.len();
        entries.extend(created.entries.overflow());
        (evicted, entries, keys)
    }

    /// Returns the settings in force.
    pub(crate) fn config(&self) -> Config<V> {
        self.created.get().map_or(self.declared, |created| created.settings.config())
    }

    /// Replaces the live layer of the settings, or removes it with `None`, and makes all instances adopt the settings in force. Returns the
    /// change, for which the caller emits an event.
    pub(crate) fn set_live(&self, live: Option<Config<V>>) -> Option<ConfigChange> {
        let change = self.created().settings.update(|layers| layers.set_live(live));
        self.apply_settings();
        change
    }

    /// Replaces the settings from a file and the environment. The caller then calls [`apply_settings`](Self::apply_settings).
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<Config<V>>) -> Option<ConfigChange> {
        if outside.is_none() && self.created.get().is_none() {
            return None;
        }
        self.created().settings.update(|layers| layers.set_outside(outside))
    }

    /// Makes all instances adopt the settings in force.
    pub(crate) fn apply_settings(&self) {
        // Calls in flight and waiters hold their instance, so that none of these has been evicted.
        self.entries().iter().for_each(|entry| entry.apply_settings());
    }

    /// Returns those of the `candidates` that get a metric series of their own: at most `limit`, those with the highest `rank` first, and the
    /// overflow instance in addition if it is a candidate.
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
