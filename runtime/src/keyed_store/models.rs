//! Loom models of eviction: a breaker in use, or one whose state must be kept, is never evicted.
//!
//! The ring is the production code. A mutex replaces the map, whose operations lock a shard.

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::eviction::{Candidate, ClockRing, EvictionClass, Slot};
use crate::{models::model, totals::Sums};

/// A handle to a breaker that is closed or open.
#[derive(Clone)]
struct Entry(Arc<Breaker>);

struct Breaker {
    key: u8,
    open: AtomicBool,
}

impl Candidate for Entry {
    fn examine(&self) -> EvictionClass {
        let is_idle = Arc::strong_count(&self.0) <= 2 && !self.0.open.load(Ordering::Acquire);
        if is_idle { EvictionClass::Idle } else { EvictionClass::Pinned }
    }

    fn sums(&self) -> Sums {
        Sums::default()
    }
}

struct KeyedStore {
    map: Mutex<Vec<Entry>>,
    ring: Mutex<ClockRing<Entry>>,
    max_keys: usize,
}

impl KeyedStore {
    fn find(&self, key: u8) -> Option<Entry> {
        self.map.lock().expect("no thread panics").iter().find(|entry| entry.0.key == key).cloned()
    }

    /// Returns the breaker of a key; `None` stands for the overflow breaker.
    fn get_or_insert(&self, key: u8) -> Option<Entry> {
        self.find(key).or_else(|| self.insert(key))
    }

    fn insert(&self, key: u8) -> Option<Entry> {
        let mut ring = self.ring.lock().expect("no thread panics");
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        let slot =
            if ring.len() < self.max_keys { Slot::Append } else { ring.evict_one(|entry| self.try_evict(entry)) };
        if slot == Slot::Full {
            return None;
        }
        let entry = Entry(Arc::new(Breaker { key, open: AtomicBool::new(false) }));
        self.map.lock().expect("no thread panics").push(entry.clone());
        ring.insert(slot, entry.clone());
        Some(entry)
    }

    fn try_evict(&self, Entry(breaker): &Entry) -> bool {
        let mut map = self.map.lock().expect("no thread panics");
        if Arc::strong_count(breaker) > 2 || breaker.open.load(Ordering::Acquire) {
            return false;
        }
        map.retain(|Entry(other)| other.key != breaker.key);
        true
    }
}

fn store(max_keys: usize) -> Arc<KeyedStore> {
    Arc::new(KeyedStore { map: Mutex::new(Vec::new()), ring: Mutex::new(ClockRing::default()), max_keys })
}

#[test]
fn a_breaker_that_opens_during_an_eviction_is_kept() {
    model(|| {
        let store = store(1);
        drop(store.get_or_insert(1));
        let other = {
            let store = store.clone();
            thread::spawn(move || {
                let entry = store.get_or_insert(1);
                if let Some(Entry(breaker)) = &entry {
                    breaker.open.store(true, Ordering::Release);
                }
                entry.is_some()
            })
        };
        let second = store.get_or_insert(2);
        let found = second.is_some();
        drop(second);
        let opened = other.join().expect("the thread does not panic");
        if opened {
            let Entry(first) = store.find(1).expect("an open breaker is never evicted");
            assert!(first.open.load(Ordering::Acquire));
        }
        assert!(opened || found, "one of them has a breaker of its own");
        assert_eq!(store.ring.lock().expect("no thread panics").len(), 1);
        assert_eq!(store.map.lock().expect("no thread panics").len(), 1);
    });
}

#[test]
fn a_key_has_one_breaker() {
    model(|| {
        let store = store(2);
        let other = {
            let store = store.clone();
            thread::spawn(move || store.get_or_insert(1).expect("there is room"))
        };
        let Entry(mine) = store.get_or_insert(1).expect("there is room");
        let Entry(theirs) = other.join().expect("the thread does not panic");
        assert!(Arc::ptr_eq(&mine, &theirs));
        assert_eq!(store.map.lock().expect("no thread panics").len(), 1);
    });
}
