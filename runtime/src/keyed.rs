//! Something for each key: for each host, tenant or user, bounded in number.
//!
//! Keys are found in a concurrent map. New keys, and evicted ones, pass through one lock; the order of eviction is that of
//! CLOCK, an approximation of least recently used in which a use costs at most one store (Corbató, A paging experiment with
//! the Multics system, 1968).
//!
//! **Invariant:** an entry is evicted only while nobody but map and ring holds it, judged where nobody can get hold of it. So
//! no call is under way through an evicted entry.
//!
//! **Invariant:** what keys share when there is no place for them is not in the map, and its mark is not a text. So no caller can
//! reach it by a key.

pub(crate) mod ring;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod roster;
mod text;

use std::{
    borrow::Borrow,
    cmp::Reverse,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use once_cell::race::OnceBox;

use self::ring::{Candidate, EvictionClass, Place, Ring};
pub(crate) use self::text::Text;
use crate::{key::Key, totals::Sums};

/// What is kept for a key.
pub(crate) trait KeyedEntry {
    /// The text of its key.
    fn key(&self) -> &str;

    /// Looked for since the hand of the clock came by last.
    fn used(&self) -> &AtomicBool;

    /// How it stands while nobody holds it, whether used or not.
    fn standing(&self) -> EvictionClass;

    /// Its totals.
    fn sums(&self) -> Sums;
}

/// What is kept for all keys.
#[derive(Debug)]
pub(crate) struct Store<V: KeyedEntry> {
    map: scc::HashSet<Entry<V>, foldhash::fast::RandomState>,
    ring: Mutex<Ring<Entry<V>>>,
    overflow: OnceBox<Entry<V>>,
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    roster: Mutex<roster::Roster>,
}

/// What is kept, in the map, where its key is what counts.
#[derive(Debug)]
struct Entry<V>(Arc<V>);

/// Map and ring.
const HOLDERS: usize = 2;

impl<V: KeyedEntry> Store<V> {
    pub(crate) fn new() -> Self {
        Self {
            map: scc::HashSet::default(),
            ring: Mutex::default(),
            overflow: OnceBox::new(),
            #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
            roster: Mutex::default(),
        }
    }

    /// What is kept for a key. `make` makes it if there is none yet, and sees the overflow, if there is one, through which the key may
    /// have been used; `tell` is called if it is news that there is no room for it.
    #[inline]
    pub(crate) fn of(
        &self,
        key: &Text,
        max_keys: usize,
        make: impl Fn(Key, Option<&V>) -> V,
        tell: impl FnOnce(),
    ) -> Arc<V> {
        match self.find(key) {
            Some(Entry(found)) => found,
            None => self.add(key, max_keys, make, tell),
        }
    }

    /// What is kept for a key, if there is something. Looking is no use.
    pub(crate) fn get(&self, key: &Text) -> Option<Arc<V>> {
        self.map.read_sync(key.as_bytes(), |Entry(kept)| kept.clone())
    }

    /// What keys share that have nothing of their own, if it ever came to that.
    pub(crate) fn overflow(&self) -> Option<Arc<V>> {
        self.overflow.get().map(|Entry(kept)| kept.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.ring().len()
    }

    /// The totals of what has left, and what is kept for all keys at this moment.
    pub(crate) fn all(&self) -> (Sums, Vec<Arc<V>>) {
        let ring = self.ring();
        (ring.retired(), ring.entries().into_iter().map(|Entry(kept)| kept).collect())
    }

    /// The entries of `troubled` that have series of their own in metrics: those for which `rank` is highest, highest first, so many at
    /// most, and the overflow's.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn told<R: Ord>(&self, mut troubled: Vec<Arc<V>>, most: usize, rank: impl Fn(&V) -> R) -> Vec<Arc<V>> {
        troubled.sort_by_cached_key(|kept| Reverse(rank(kept)));
        let overflow = self.overflow().filter(|_| most > 0);
        let overflow = overflow.and_then(|overflow| {
            let index = troubled.iter().position(|kept| Arc::ptr_eq(kept, &overflow))?;
            Some(troubled.remove(index))
        });
        let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = roster.pick(troubled, most, crate::clock::now());
        told.extend(overflow);
        told
    }

    #[inline]
    fn find(&self, key: &Text) -> Option<Entry<V>> {
        self.map.read_sync(key.as_bytes(), |entry| {
            entry.use_it();
            entry.clone()
        })
    }

    #[cold]
    fn add(&self, key: &Text, max_keys: usize, make: impl Fn(Key, Option<&V>) -> V, tell: impl FnOnce()) -> Arc<V> {
        let mut ring = self.ring();
        // Another thread may have been first.
        if let Some(Entry(found)) = self.find(key) {
            return found;
        }
        let place = if ring.len() < max_keys { Place::New } else { ring.evict_one(|entry| self.remove(entry)) };
        if matches!(place, Place::None) {
            let Entry(overflow) =
                self.overflow.get_or_init(|| Box::new(Entry(Arc::new(make(Key::overflow(), None))))).clone();
            let is_news = ring.overflow();
            drop(ring);
            if is_news {
                tell();
            }
            return overflow;
        }
        let overflow = self.overflow.get().map(|Entry(overflow)| &**overflow);
        let entry = Entry(Arc::new(make(Key::of(key.as_str()), overflow)));
        // It is not there: only who holds the ring's lock adds.
        _ = self.map.insert_sync(entry.clone());
        ring.put(place, entry.clone());
        entry.0
    }

    /// Takes an entry out of the map, if nobody can be using it: the map's lock keeps everybody from getting hold of it
    /// meanwhile.
    fn remove(&self, entry: &Entry<V>) -> bool {
        let Entry(kept) = entry;
        let removed = self.map.remove_if_sync(entry.key().as_bytes(), || {
            Arc::strong_count(kept) == HOLDERS && kept.standing() != EvictionClass::Stays
        });
        removed.is_some()
    }

    fn ring(&self) -> MutexGuard<'_, Ring<Entry<V>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: KeyedEntry> Entry<V> {
    fn key(&self) -> &str {
        self.0.key()
    }

    #[inline]
    fn use_it(&self) {
        // ORDERING: Relaxed: a hint. Looked at first, so that a busy key is not written at each use.
        let used = self.0.used();
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
    fn standing(&self) -> EvictionClass {
        let Self(kept) = self;
        // ORDERING: Relaxed, as above.
        let used = kept.used().swap(false, Ordering::Relaxed);
        if Arc::strong_count(kept) > HOLDERS {
            return EvictionClass::Stays;
        }
        match kept.standing() {
            EvictionClass::Idle if used => EvictionClass::Used,
            EvictionClass::Abandoned | EvictionClass::Failing if used => EvictionClass::FailingAndUsed,
            standing => standing,
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

/// Those for which `rank` is highest, highest first, so many at most.
pub(crate) fn top<V, R: Ord>(all: impl Iterator<Item = Arc<V>>, most: usize, rank: impl Fn(&V) -> R) -> Vec<Arc<V>> {
    let mut all: Vec<_> = all.map(|kept| (Reverse(rank(&kept)), kept)).collect();
    let by_rank = |(one, _): &(Reverse<R>, Arc<V>), (other, _): &(Reverse<R>, Arc<V>)| one.cmp(other);
    if most < all.len() {
        all.select_nth_unstable_by(most, by_rank);
        all.truncate(most);
    }
    all.sort_by(by_rank);
    all.into_iter().map(|(_, kept)| kept).collect()
}

impl<V: KeyedEntry> PartialEq for Entry<V> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<V: KeyedEntry> Eq for Entry<V> {}

/// As the bytes of its key, by which it is looked for.
impl<V: KeyedEntry> Hash for Entry<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().as_bytes().hash(state);
    }
}
