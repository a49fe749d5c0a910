//! A sequence lock: a value that changes rarely, and the words derived from it, which are read often.
//!
//! Every call that the fast path does not decide reads settings. Under a mutex each read would write to shared memory. A pointer to an
//! immutable value would need an allocation, an indirection and a way to reclaim the old value. A sequence lock needs none of these: its
//! version is odd during a write, and a reader that sees an odd version, or different versions before and after its reads, reads again.
//! Readers write nothing.
//!
//! The words are atomic cells, because a reader can overlap with a writer; the fences order them as in Boehm, Can seqlocks get along with
//! programming language memory models?, 2012.

use std::{array, sync::PoisonError};

use super::{
    hint,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering, fence},
    },
};

#[derive(Debug)]
pub(super) struct SeqLock<T, const N: usize> {
    /// A writer holds the lock until the words belong to the new value.
    value: Mutex<T>,
    /// Odd during a write.
    version: AtomicU64,
    words: [AtomicU64; N],
}

impl<T: Copy, const N: usize> SeqLock<T, N> {
    /// Creates a lock from a value, an even version, and the words of the value.
    pub(super) const fn from_parts(value: Mutex<T>, version: AtomicU64, words: [AtomicU64; N]) -> Self {
        Self { value, version, words }
    }

    pub(super) fn get(&self) -> T {
        *self.lock()
    }

    /// Reads the first `M` words, all of one value.
    pub(super) fn words<const M: usize>(&self) -> [u64; M] {
        const { assert!(M <= N) };
        loop {
            // ORDERING: Acquire pairs with the Release at the end of `update`: a reader of an even version sees the words written
            // before it. The fence keeps the second load of the version after the words: if a word is of a later write, so is the
            // version.
            let version = self.version.load(Ordering::Acquire);
            let words = array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return words;
            }
            hint::spin_loop();
        }
    }

    /// Reads one word. Words that are read one after the other can belong to different values.
    #[inline]
    pub(super) fn word(&self, index: usize) -> u64 {
        // ORDERING: Relaxed: the word is used on its own.
        self.words[index].load(Ordering::Relaxed)
    }

    /// Updates the value. `update` returns the words of the new value, or `None` if they have not changed.
    pub(super) fn update(&self, update: impl FnOnce(&mut T) -> Option<[u64; N]>) {
        let mut value = self.lock();
        let Some(words) = update(&mut value) else { return };
        // ORDERING: Relaxed, because only the holder of the lock writes. The fence keeps the words after the odd version.
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
