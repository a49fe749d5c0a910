//! A value that changes now and then, and the numbers that it amounts to, which are read all the time.
//!
//! Readers take no lock: they read all numbers, and again if somebody wrote in the meantime (a sequence lock; see Boehm, Can seqlocks
//! get along with programming language memory models?, 2012).

use std::{array, sync::PoisonError};

use super::{
    hint,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering, fence},
    },
};

#[derive(Debug)]
pub(super) struct Published<T, const N: usize> {
    /// A writer holds the lock until the words are those of the new value.
    value: Mutex<T>,
    /// Odd while somebody writes.
    version: AtomicU64,
    words: [AtomicU64; N],
}

impl<T: Copy, const N: usize> Published<T, N> {
    /// A value and its words, in an even version.
    pub(super) const fn of(value: Mutex<T>, version: AtomicU64, words: [AtomicU64; N]) -> Self {
        Self { value, version, words }
    }

    pub(super) fn value(&self) -> T {
        *self.lock()
    }

    /// The first words, all of one value.
    pub(super) fn words<const M: usize>(&self) -> [u64; M] {
        const { assert!(M <= N) };
        loop {
            // ORDERING: Acquire pairs with the Release at the end of `change`: what was written before an even version is
            // seen. The fence keeps the second look behind the words: if one of them is of a later write, so is the version.
            let version = self.version.load(Ordering::Acquire);
            let words = array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return words;
            }
            hint::spin_loop();
        }
    }

    /// One word, which may be of another value than the one that is read next.
    #[inline]
    pub(super) fn word(&self, index: usize) -> u64 {
        // ORDERING: Relaxed: one number that stands alone.
        self.words[index].load(Ordering::Relaxed)
    }

    /// Changes the value. The change gives the words that the value amounts to, if they are others now.
    pub(super) fn change(&self, change: impl FnOnce(&mut T) -> Option<[u64; N]>) {
        let mut value = self.lock();
        let Some(words) = change(&mut value) else { return };
        // ORDERING: Relaxed, since only the holder of the lock writes. The fence keeps the words behind the odd version.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
