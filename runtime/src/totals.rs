//! Totals that threads count without sharing a cache line.
//!
//! Each thread takes a slot number for its lifetime; in every breaker the cell with that number is written by that
//! thread alone, so counting is a plain load and store. Threads beyond the last slot share one cell and pay for an
//! atomic addition. Where breakers are many and threads are few to each, all share a cell.

use std::{
    array,
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use once_cell::race::OnceBox;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Success,
    Failure,
    Neutral,
    Rejection,
}

/// A reading of all counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums([u64; KINDS]);

impl Sums {
    pub(crate) const fn get(self, count: Count) -> u64 {
        self.0[count as usize]
    }

    #[cfg(feature = "keyed")]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(array::from_fn(|kind| self.0[kind].wrapping_add(other.0[kind])))
    }
}

/// The totals of one breaker.
#[derive(Debug)]
pub(crate) struct Totals {
    /// A cache line for each thread, for a breaker that all threads use. Takes its 4 KiB at the first count.
    lines: OnceBox<[Line; SLOTS]>,
    /// Whether there are such lines: not for one of a million breakers.
    sharded: bool,
    /// What has no line of its own.
    shared: Counters,
}

/// Threads that count in a cell of their own: more than the cores of most machines, and the numbers of threads that
/// ended are given out again.
const SLOTS: usize = 64;
const KINDS: usize = 4;

type Counters = [AtomicU64; KINDS];

/// One thread's counts, alone on a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line(Counters);

impl Totals {
    pub(crate) const fn sharded() -> Self {
        Self::new(true)
    }

    #[cfg(feature = "keyed")]
    pub(crate) const fn plain() -> Self {
        Self::new(false)
    }

    const fn new(sharded: bool) -> Self {
        Self { lines: OnceBox::new(), sharded, shared: [const { AtomicU64::new(0) }; KINDS] }
    }

    /// Adds one, and gives what the cell that was counted in had before.
    #[inline]
    pub(crate) fn add(&self, count: Count) -> u64 {
        match self.lines.get().and_then(|lines| lines.get(SLOT.get())) {
            Some(Line(counters)) => {
                let counter = &counters[count as usize];
                // ORDERING: Relaxed, and no read-modify-write: only this thread writes the counter, and the count
                // says nothing about any other memory. A slot passes from one thread to the next through a mutex.
                let before = counter.load(Ordering::Relaxed);
                counter.store(before.wrapping_add(1), Ordering::Relaxed);
                before
            }
            None => self.add_cold(count),
        }
    }

    /// The first count of a breaker or of a thread, and every count of a thread or a breaker without lines.
    #[cold]
    fn add_cold(&self, count: Count) -> u64 {
        if self.sharded {
            let lines = self.lines.get_or_init(|| Box::new(array::from_fn(|_| Line::default())));
            if SLOT.get() == UNASKED {
                take_slot();
            }
            if lines.get(SLOT.get()).is_some() {
                return self.add(count);
            }
        }
        // ORDERING: Relaxed: a count that nothing else is inferred from.
        self.shared[count as usize].fetch_add(1, Ordering::Relaxed)
    }

    /// Adds up what all threads counted. Counts that are under way may be missing.
    pub(crate) fn sums(&self) -> Sums {
        let lines = self.lines.get().into_iter().flatten().map(|Line(counters)| counters);
        lines.chain([&self.shared]).fold(Sums::default(), |Sums(sums), counters| {
            // ORDERING: Relaxed: each count stands alone. Whoever needs an exact sum joins the counting threads first.
            Sums(array::from_fn(|kind| sums[kind].wrapping_add(counters[kind].load(Ordering::Relaxed))))
        })
    }
}

/// No slot was asked for yet.
const UNASKED: usize = usize::MAX;
/// There was none left, or the thread is ending: count in the shared cell.
const NONE_LEFT: usize = usize::MAX - 1;

thread_local! {
    /// This thread's slot. It has no destructor, so that counting works until the very end of the thread.
    static SLOT: Cell<usize> = const { Cell::new(UNASKED) };
    /// Gives the slot back when the thread ends.
    static LEASE: Cell<Option<Lease>> = const { Cell::new(None) };
}

/// Which slots are taken, one bit each.
static TAKEN: Mutex<u64> = Mutex::new(0);
const _: () = assert!(SLOTS == u64::BITS as usize);

struct Lease(u32);

impl Drop for Lease {
    fn drop(&mut self) {
        SLOT.set(NONE_LEFT);
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) &= !(1 << self.0);
    }
}

fn take_slot() {
    let slot = {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (!*taken).trailing_zeros();
        if free < u64::BITS {
            *taken |= 1 << free;
        }
        free
    };
    SLOT.set(NONE_LEFT);
    if slot == u64::BITS {
        return;
    }
    let lease = Lease(slot);
    // Where the thread's destructors have run already, the lease falls back into the list at once.
    if LEASE.try_with(|cell| cell.set(Some(lease))).is_ok() {
        SLOT.set(slot as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Barrier, thread};

    use super::*;

    #[test]
    fn counts_of_more_threads_than_slots_add_up() {
        let totals = Totals::sharded();
        for _ in 0..2 {
            thread::scope(|scope| {
                for _ in 0..SLOTS + 10 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            totals.add(Count::Success);
                            totals.add(Count::Rejection);
                        }
                    });
                }
            });
        }
        let expected = 2 * (SLOTS as u64 + 10) * 100;
        assert_eq!(totals.sums().get(Count::Success), expected);
        assert_eq!(totals.sums().get(Count::Rejection), expected);
        assert_eq!(totals.sums().get(Count::Failure), 0);
    }

    #[test]
    fn no_two_threads_have_the_same_slot() {
        let barrier = Barrier::new(8);
        let slots: Vec<_> = thread::scope(|scope| {
            let take = || {
                Totals::sharded().add(Count::Success);
                barrier.wait();
                SLOT.get()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().expect("the thread ends well")).collect()
        });
        // Another test may hold all slots just now.
        let taken: Vec<_> = slots.iter().filter(|slot| **slot < SLOTS).collect();
        assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len(), "{slots:?}");
    }

    #[test]
    fn a_slot_is_not_used_after_it_is_given_back() {
        thread::spawn(|| {
            Totals::sharded().add(Count::Success);
            assert_ne!(SLOT.get(), UNASKED);
            drop(LEASE.take());
            assert_eq!(SLOT.get(), NONE_LEFT);
        })
        .join()
        .expect("the thread ends well");
    }

    #[test]
    fn counting_works_in_a_thread_local_destructor() {
        static TOTALS: Totals = Totals::sharded();
        struct CountOnDrop;
        impl Drop for CountOnDrop {
            fn drop(&mut self) {
                TOTALS.add(Count::Neutral);
            }
        }
        thread_local!(static LAST: Cell<Option<CountOnDrop>> = const { Cell::new(None) });

        for _ in 0..3 {
            thread::spawn(|| {
                LAST.set(Some(CountOnDrop));
                TOTALS.add(Count::Success);
            })
            .join()
            .expect("the thread ends well");
        }
        assert_eq!(TOTALS.sums().get(Count::Success), 3);
        assert_eq!(TOTALS.sums().get(Count::Neutral), 3);
    }
}
