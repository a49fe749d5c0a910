//! Eviction of keyed breakers: a breaker that is in use, or not closed, is never evicted.
//!
//! The ring is the real one. A mutex stands for the lock that the real map takes for a few entries.

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::model;
use crate::{
    keyed::ring::{Candidate, EvictionClass, Place, Ring},
    totals::Sums,
};

/// A breaker that is closed or open.
#[derive(Clone)]
struct Entry(Arc<Breaker>);

struct Breaker {
    key: u8,
    open: AtomicBool,
}

impl Candidate for Entry {
    fn standing(&self) -> EvictionClass {
        let is_idle = Arc::strong_count(&self.0) <= 2 && !self.0.open.load(Ordering::Acquire);
        if is_idle { EvictionClass::Idle } else { EvictionClass::Stays }
    }

    fn sums(&self) -> Sums {
        Sums::default()
    }
}

struct Store {
    map: Mutex<Vec<Entry>>,
    ring: Mutex<Ring<Entry>>,
    max_keys: usize,
}

impl Store {
    fn find(&self, key: u8) -> Option<Entry> {
        self.map.lock().expect("no thread panics").iter().find(|entry| entry.0.key == key).cloned()
    }

    /// The breaker of a key; `None` stands for the overflow breaker.
    fn breaker(&self, key: u8) -> Option<Entry> {
        self.find(key).or_else(|| self.add(key))
    }

    fn add(&self, key: u8) -> Option<Entry> {
        let mut ring = self.ring.lock().expect("no thread panics");
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        let place = if ring.len() < self.max_keys { Place::New } else { ring.evict_one(|entry| self.remove(entry)) };
        if place == Place::None {
            return None;
        }
        let entry = Entry(Arc::new(Breaker { key, open: AtomicBool::new(false) }));
        self.map.lock().expect("no thread panics").push(entry.clone());
        ring.put(place, entry.clone());
        Some(entry)
    }

    fn remove(&self, Entry(breaker): &Entry) -> bool {
        let mut map = self.map.lock().expect("no thread panics");
        if Arc::strong_count(breaker) > 2 || breaker.open.load(Ordering::Acquire) {
            return false;
        }
        map.retain(|Entry(other)| other.key != breaker.key);
        true
    }
}

fn store(max_keys: usize) -> Arc<Store> {
    Arc::new(Store { map: Mutex::new(Vec::new()), ring: Mutex::new(Ring::default()), max_keys })
}

#[test]
fn a_breaker_that_opens_during_an_eviction_stays() {
    model(|| {
        let store = store(1);
        drop(store.breaker(1));
        let other = {
            let store = store.clone();
            thread::spawn(move || {
                let entry = store.breaker(1);
                if let Some(Entry(breaker)) = &entry {
                    breaker.open.store(true, Ordering::Release);
                }
                entry.is_some()
            })
        };
        let added = store.breaker(2);
        let found = added.is_some();
        drop(added);
        let opened = other.join().expect("the thread returns");
        if opened {
            let Entry(first) = store.find(1).expect("an open breaker is never evicted");
            assert!(first.open.load(Ordering::Acquire));
        }
        assert!(opened || found, "one of the keys has a breaker");
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
            thread::spawn(move || store.breaker(1).expect("below `max_keys`"))
        };
        let Entry(mine) = store.breaker(1).expect("below `max_keys`");
        let Entry(theirs) = other.join().expect("the thread returns");
        assert!(Arc::ptr_eq(&mine, &theirs));
        assert_eq!(store.map.lock().expect("no thread panics").len(), 1);
    });
}
