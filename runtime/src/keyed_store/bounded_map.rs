//! A concurrent map from keys to instances with a bounded number of entries.
//!
//! Lookups access only the concurrent map. Insertions and evictions are serialized by one lock, that of the ring. The order of eviction is
//! that of CLOCK, an approximation of least recently used in which a use costs at most one store (Corbató, A paging experiment with the
//! Multics system, 1968).
//!
//! **Invariant:** an entry is evicted only while the map and the ring hold its only handles. This is checked under the map's lock, so that
//! no other handle can be created in the meantime. Therefore no call is in flight through an evicted entry.
//!
//! **Invariant:** the overflow instance is not in the map, and its key is a marker and not a text. Therefore no key refers to it.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use once_cell::race::OnceBox;

use super::{
    entry::KeyedEntry,
    eviction::{Candidate, ClockRing, EvictionClass, Slot},
    key::Key,
    text::Text,
};
use crate::totals::Sums;

/// The instances by key, the order of their eviction, and the overflow instance.
#[derive(Debug)]
pub(super) struct BoundedMap<V: KeyedEntry> {
    map: scc::HashSet<Entry<V>, foldhash::fast::RandomState>,
    ring: Mutex<ClockRing<Entry<V>>>,
    overflow: OnceBox<Entry<V>>,
}

/// An instance, hashed and compared by its key.
#[derive(Debug)]
struct Entry<V>(Arc<V>);

/// The number of handles to an entry that no caller holds: one in the map and one in the ring.
const OWN_HANDLES: usize = 2;

impl<V: KeyedEntry> BoundedMap<V> {
    pub(super) fn new() -> Self {
        Self { map: scc::HashSet::default(), ring: Mutex::default(), overflow: OnceBox::new() }
    }

    /// Returns the instance of a key and marks it as used. If there is none, `create` creates it from the key and the overflow instance,
    /// if there is one.
    ///
    /// If the map is full and nothing can be evicted, returns the overflow instance. `on_overflow` is then called, unless the insertion
    /// before this one overflowed as well.
    #[inline]
    pub(super) fn get_or_insert(
        &self,
        key: &Text,
        max_keys: usize,
        create: impl Fn(Key, Option<&V>) -> V,
        on_overflow: impl FnOnce(),
    ) -> Arc<V> {
        match self.find_and_mark(key) {
            Some(Entry(found)) => found,
            None => self.insert(key, max_keys, create, on_overflow),
        }
    }

    /// Returns the instance of a key, if there is one. It is not marked as used.
    pub(super) fn get(&self, key: &Text) -> Option<Arc<V>> {
        self.map.read_sync(key.as_bytes(), |Entry(value)| value.clone())
    }

    /// Returns the overflow instance, if there is one.
    pub(super) fn overflow(&self) -> Option<Arc<V>> {
        self.overflow.get().map(|Entry(value)| value.clone())
    }

    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.ring().len()
    }

    /// Returns the totals of the evicted entries, and the instances of all keys.
    pub(super) fn all(&self) -> (Sums, Vec<Arc<V>>) {
        let ring = self.ring();
        (ring.evicted_sums(), ring.entries().into_iter().map(|Entry(value)| value).collect())
    }

    #[inline]
    fn find_and_mark(&self, key: &Text) -> Option<Entry<V>> {
        self.map.read_sync(key.as_bytes(), |entry| {
            entry.mark_used();
            entry.clone()
        })
    }

    #[cold]
    fn insert(
        &self,
        key: &Text,
        max_keys: usize,
        create: impl Fn(Key, Option<&V>) -> V,
        on_overflow: impl FnOnce(),
    ) -> Arc<V> {
        let mut ring = self.ring();
        // Another thread may have inserted the key since the lookup.
        if let Some(Entry(found)) = self.find_and_mark(key) {
            return found;
        }
        let slot = if ring.len() < max_keys { Slot::Append } else { ring.evict_one(|entry| self.try_evict(entry)) };
        if matches!(slot, Slot::Full) {
            let Entry(overflow) =
                self.overflow.get_or_init(|| Box::new(Entry(Arc::new(create(Key::overflow(), None))))).clone();
            let is_first = ring.record_overflow();
            drop(ring);
            if is_first {
                on_overflow();
            }
            return overflow;
        }
        let overflow = self.overflow.get().map(|Entry(overflow)| &**overflow);
        let entry = Entry(Arc::new(create(Key::of(key.as_str()), overflow)));
        // The key is still absent: only the holder of the ring's lock inserts.
        _ = self.map.insert_sync(entry.clone());
        ring.insert(slot, entry.clone());
        entry.0
    }

    /// Removes an entry from the map, unless a caller holds it or it must not be evicted. Returns true if it was removed. The map's lock
    /// is held from the check to the removal, so that no other thread obtains a handle in between.
    fn try_evict(&self, entry: &Entry<V>) -> bool {
        let Entry(value) = entry;
        let removed = self.map.remove_if_sync(entry.key().as_bytes(), || {
            Arc::strong_count(value) == OWN_HANDLES && value.eviction_class() != EvictionClass::Pinned
        });
        removed.is_some()
    }

    fn ring(&self) -> MutexGuard<'_, ClockRing<Entry<V>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: KeyedEntry> Entry<V> {
    fn key(&self) -> &str {
        self.0.key_text()
    }

    #[inline]
    fn mark_used(&self) {
        // ORDERING: Relaxed: a hint. The bit is read first, so that it is not written at each use of a busy key.
        let used = &self.0.settings().used;
        if !used.load(Ordering::Relaxed) {
            used.store(true, Ordering::Relaxed);
        }
    }
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: KeyedEntry> Candidate for Entry<V> {
    fn examine(&self) -> EvictionClass {
        let Self(value) = self;
        // ORDERING: Relaxed: a hint, as in `mark_used`.
        let used = value.settings().used.swap(false, Ordering::Relaxed);
        if Arc::strong_count(value) > OWN_HANDLES {
            return EvictionClass::Pinned;
        }
        match value.eviction_class() {
            EvictionClass::Idle if used => EvictionClass::Used,
            EvictionClass::Abandoned | EvictionClass::Failing if used => EvictionClass::FailingAndUsed,
            class => class,
        }
    }

    fn sums(&self) -> Sums {
        self.0.sums()
    }
}

impl<V: KeyedEntry> Borrow<[u8]> for Entry<V> {
    fn borrow(&self) -> &[u8] {
        self.key().as_bytes()
    }
}

impl<V: KeyedEntry> PartialEq for Entry<V> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<V: KeyedEntry> Eq for Entry<V> {}

/// Hashes the bytes of the key, as [`Borrow<[u8]>`](Borrow) requires.
impl<V: KeyedEntry> Hash for Entry<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().as_bytes().hash(state);
    }
}
